"""Every Function of the package has what a reader, a test and an exercise rely on."""

import ast
import importlib
import inspect
import pkgutil
import re

import pytest
from torch import Tensor
from torch.autograd import Function
from torch.utils._pytree import tree_leaves

import manualgrad.functions as F
from manualgrad.cases import FUNCTIONS
from tests.functions.tools import every_sample

MODULES = {
    name: importlib.import_module(f"manualgrad.functions.{name}")
    for _, name, _ in pkgutil.iter_modules(F.__path__)
    if not name.startswith("_")
}
HEADINGS = ["Forward", "Backward", "Forward mode", "Saved", "Pitfalls", "Sources"]
every_module = pytest.mark.parametrize("name", MODULES)


def functions_in(module):
    return [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, Function) and member.__module__ == module.__name__
    ]


def source(module):
    with open(module.__file__, encoding="utf-8") as file:
        return file.read()


@every_module
def test_one_function_a_file_with_its_wrapper_exported_and_with_cases(name):
    module = MODULES[name]
    (function_class,) = functions_in(module)
    wrapper = vars(module)[name]
    assert {name, function_class.__name__} <= set(F.__all__)
    assert getattr(F, name) is wrapper
    assert getattr(F, function_class.__name__) is function_class
    assert FUNCTIONS[name].function is wrapper
    assert FUNCTIONS[name].function_class is function_class
    assert len(FUNCTIONS[name].samples()) >= 2


def test_nothing_is_exported_that_no_file_defines():
    defined = {name for module in MODULES.values() for name in vars(module)}
    assert set(F.__all__) <= defined
    assert set(FUNCTIONS) == set(MODULES)


@every_module
def test_a_page_has_every_part_and_is_a_page_or_two(name):
    sections = re.split(r"\n([A-Z][a-z ]+)\n-+\n", inspect.getdoc(MODULES[name]))
    assert sections[1::2] == HEADINGS
    assert all(text.strip() for text in sections[2::2])
    assert len(source(MODULES[name]).splitlines()) <= 200
    (function_class,) = functions_in(MODULES[name])
    assert {"forward", "setup_context", "backward", "jvp"} <= set(vars(function_class))
    assert function_class.generate_vmap_rule


@pytest.mark.parametrize("name", [*MODULES, "_attention", "_losses", "_normalize", "_windows"])
def test_nothing_is_left_to_pytorchs_own_backward_or_layers(name):
    """Nor in the helpers: no torch.autograd.grad, no operator named a backward; of torch.nn the forward."""
    tree = ast.parse(source(importlib.import_module(f"manualgrad.functions.{name}")))
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    forbidden = r"torch\.(autograd\.(grad|functional)|nn\b|ops\b|func\b)|(?!ctx\.).*_backward\b"
    forward = {"softmax_nll": "cross_entropy"}.get(name, name)
    allowed = {"torch.nn", "torch.nn.functional", f"torch.nn.functional.{forward}"}
    assert not [used for used in names - allowed if re.match(forbidden, used)]
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [module for module in imported if module.startswith("torch.nn")]


@every_sample
def test_backward_keeps_no_tensor_on_ctx(info, sample):
    """What is saved goes through save_for_backward: anything else leaks and escapes the hooks."""
    contexts = []
    setup_context = info.function_class.setup_context

    def noted(ctx, inputs, output):
        setup_context(ctx, inputs, output)
        contexts.append(ctx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(info.function_class, "setup_context", staticmethod(noted))
        info.function(*sample.args, **sample.kwargs)
    kept = [value for ctx in contexts for value in tree_leaves(vars(ctx))]
    assert not [value for value in kept if isinstance(value, Tensor)]


@every_module
def test_the_docstring_names_the_real_arguments(name):
    wrapper = getattr(F, name)
    sections = dict(
        re.findall(
            r"\n([A-Z][a-z A-Z]+)\n-+\n(.*?)(?=\n\n[A-Z][a-zA-Z ]+\n-+\n|\Z)", inspect.getdoc(wrapper), re.S
        )
    )
    documented = re.findall(r"^(\w+) : .+", sections["Parameters"], re.M)
    assert documented == list(inspect.signature(wrapper).parameters)
    for argument, parameter in inspect.signature(wrapper).parameters.items():
        said_optional = re.search(rf"^{argument} : .*optional", sections["Parameters"], re.M) is not None
        assert said_optional == (parameter.default is None)
    assert sections["Returns"].startswith(("Tensor\n", "tuple of Tensor\n"))
