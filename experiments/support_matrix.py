"""Do the hand-written functions work wherever PyTorch's own do?

    python experiments/support_matrix.py

runs every function of manualgrad/cases through everything that PyTorch offers and prints a table. Each
mark is earned: behind it lie all samples of the function, compared with PyTorch's own function. The README
holds the output. Expect "yes" in every cell, after about a minute. A "no" prints its reason below the table
and makes the exit status 1. The samples are the same for every --seed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from manualgrad.cases import FUNCTIONS, FunctionInfo, SampleInput
from manualgrad.errors import UserError
from manualgrad.training import Metrics, Run, RunSettings, launch, option, prepare


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """Which function, on which device."""

    only: str | None = option(None, "the name of a single function (default: all)")


@dataclass(frozen=True)
class Trial:
    """One sample on one device: our function, PyTorch's, and the tensors that are differentiated."""

    ours: Callable[..., Tensor]
    theirs: Callable[..., Tensor]
    values: tuple[Tensor, ...]
    sample: SampleInput


def trials(info: FunctionInfo, device: torch.device, dtype: torch.dtype = torch.float64) -> Iterator[Trial]:
    """Yield every sample of a function."""
    for sample in info.samples(dtype, str(device)):
        ours, values = sample.bind(info.function)
        theirs, _ = sample.bind(info.reference)
        yield Trial(ours, theirs, values, sample)


# ---- what is compared


def same(ours: Any, theirs: Any, tolerance: float = 1e-10) -> None:
    """Raise an AssertionError unless values, shapes and dtypes agree, and NaN is in the same places."""
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)


def back(call: Callable[..., Tensor], values: Sequence[Tensor]) -> list[Tensor]:
    """Return the output and its gradients for an upstream gradient that differs from entry to entry."""
    values = [value.detach().requires_grad_() for value in values]
    output = call(*values)
    upstream = torch.arange(1.0, output.numel() + 1, device=output.device).cos().reshape(output.shape)
    return [output.detach(), *torch.autograd.grad(output, values, upstream.to(output.dtype))]


def curved(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """One number whose derivatives of any order say something about the function's."""
    return lambda *values: call(*values).sin().sum()


def in_float64(argument: Any) -> Any:
    """Give a tensor's numbers room in which PyTorch's own rounding does not matter."""
    if isinstance(argument, Tensor) and argument.is_floating_point():
        return argument.detach().double().requires_grad_(argument.requires_grad)
    return argument


# ---- the columns: each returns if the cell is "yes" and raises if it is "no"


def value(info: FunctionInfo, device: torch.device) -> None:
    """Equal PyTorch's value, shape and dtype, to 1e-10 in float64."""
    for trial in trials(info, device):
        same(trial.ours(*trial.values), trial.theirs(*trial.values))


def gradient(info: FunctionInfo, device: torch.device) -> None:
    """Equal PyTorch's gradients, and finite differences, also batched."""
    for trial in trials(info, device):
        same(back(trial.ours, trial.values), back(trial.theirs, trial.values))
        leaves = [each.clone().requires_grad_() for each in trial.values]
        torch.autograd.gradcheck(trial.ours, leaves, check_batched_grad=True)


def second_order(info: FunctionInfo, device: torch.device) -> None:
    """Equal finite differences of the gradient, and PyTorch's Hessian."""
    for trial in trials(info, device):
        leaves = [each.clone().requires_grad_() for each in trial.values]
        torch.autograd.gradgradcheck(trial.ours, leaves, check_fwd_over_rev=True)
        same(hessian(curved(trial.ours))(*trial.values), hessian(curved(trial.theirs))(*trial.values))


def third_order(info: FunctionInfo, device: torch.device) -> None:
    """Equal PyTorch's third derivative, backward through backward through backward."""

    def third(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return grad(curved(grad(curved(grad(curved(call))))))

    for trial in trials(info, device):
        same(third(trial.ours)(*trial.values), third(trial.theirs)(*trial.values), 1e-8)


def forward_mode(info: FunctionInfo, device: torch.device) -> None:
    """Equal PyTorch's under torch.func.jvp, jacfwd, jacrev over jacfwd, and jacfwd over jacfwd."""
    for trial in trials(info, device):
        tangents = tuple(each.cos() for each in trial.values)
        same(jvp(trial.ours, trial.values, tangents), jvp(trial.theirs, trial.values, tangents))
        same(jacfwd(trial.ours)(*trial.values), jacrev(trial.theirs)(*trial.values))
        for outer in (jacrev, jacfwd):
            same(
                outer(jacfwd(curved(trial.ours)))(*trial.values), hessian(curved(trial.theirs))(*trial.values)
            )


def batched(info: FunctionInfo, device: torch.device) -> None:
    """Equal one call after another under torch.func.vmap over each tensor alone, over all, and nested."""
    for trial in trials(info, device):
        stacks = [torch.stack([each, each.cos(), each.exp()]) for each in trial.values]
        for chosen in range(len(stacks)):
            dims = tuple(0 if place == chosen else None for place in range(len(stacks)))
            args = [stacks[place] if place == chosen else each for place, each in enumerate(trial.values)]
            examples = zip(
                *[each if place == chosen else [each] * 3 for place, each in enumerate(args)], strict=True
            )
            same(vmap(trial.ours, dims)(*args), torch.stack([trial.theirs(*each) for each in examples]))
        rows = torch.stack([trial.theirs(*each) for each in zip(*stacks, strict=True)])
        same(vmap(trial.ours)(*stacks), rows)
        same(vmap(vmap(trial.ours))(*[stack.unsqueeze(1) for stack in stacks]), rows.unsqueeze(1))


def per_sample(info: FunctionInfo, device: torch.device) -> None:
    """Equal PyTorch's under vmap(grad): one gradient for each example."""
    for trial in trials(info, device):
        stacks = [torch.stack([each, each.cos(), each.exp()]) for each in trial.values]
        same(vmap(grad(curved(trial.ours)))(*stacks), vmap(grad(curved(trial.theirs)))(*stacks))


def compiled(info: FunctionInfo, device: torch.device) -> None:
    """Be one graph under torch.compile(fullgraph=True): forward, backward, no_grad, torch.func.grad in it."""
    for trial in trials(info, device):
        torch.compiler.reset()
        call = torch.compile(trial.ours, fullgraph=True, backend="aot_eager")
        same(back(call, trial.values), back(trial.theirs, trial.values))
        with torch.no_grad():
            same(call(*trial.values), trial.theirs(*trial.values))
    torch.compiler.reset()
    slope = torch.compile(grad(curved(trial.ours)), fullgraph=True, backend="aot_eager")
    same(slope(*trial.values), grad(curved(trial.theirs))(*trial.values))


def exported(info: FunctionInfo, device: torch.device) -> None:
    """Give the same result after torch.export."""
    trial = next(trials(info, device))

    class Layer(torch.nn.Module):
        def forward(self, *values: Tensor) -> Tensor:
            return trial.ours(*values)

    program = torch.export.export(Layer(), trial.values)
    same(program.module()(*trial.values), trial.theirs(*trial.values))


def autocast(info: FunctionInfo, device: torch.device) -> None:
    """Give PyTorch's dtype under autocast to bfloat16 and float16, forward and backward."""
    for dtype in (torch.bfloat16, torch.float16):
        for trial in trials(info, device, torch.float32):
            with torch.autocast(device.type, dtype):
                ours, theirs = (back(call, trial.values) for call in (trial.ours, trial.theirs))
            same(ours, theirs, 4 * torch.finfo(dtype).eps)


def half(info: FunctionInfo, device: torch.device) -> None:
    """Be as near to float64's truth as PyTorch is, in bfloat16, float16 and float32."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for trial in trials(info, device, dtype):
            args = tuple(map(in_float64, trial.sample.args))
            options = {name: in_float64(each) for name, each in trial.sample.kwargs.items()}
            truth, values = SampleInput("exact", args, options).bind(info.reference)
            results = zip(
                back(trial.ours, trial.values),
                back(trial.theirs, trial.values),
                back(truth, values),
                strict=True,
            )
            for ours, theirs, right in results:
                assert ours.dtype == theirs.dtype, f"{ours.dtype} for {theirs.dtype}"
                allowed = 2 * (theirs - right).abs().max() + 4 * torch.finfo(dtype).eps * right.abs().max()
                assert (ours - right).abs().max() <= allowed, f"{dtype}: further off than PyTorch"


def layouts(info: FunctionInfo, device: torch.device) -> None:
    """Take transposed, sliced and expanded tensors, as inputs and as upstream gradients."""
    for trial in trials(info, device):
        for strided in (every_second, all_equal):
            values = [strided(each) for each in trial.values]
            same(back(trial.ours, values), back(trial.theirs, [each.contiguous() for each in values]))
            leaves = [each.clone().requires_grad_() for each in trial.values]
            output = trial.ours(*leaves)
            upstream = strided(torch.arange(1.0, output.numel() + 1).reshape(output.shape).to(output))
            ours = torch.autograd.grad(output, leaves, upstream, retain_graph=True)
            same(ours, torch.autograd.grad(output, leaves, upstream.contiguous()))


def every_second(tensor: Tensor) -> Tensor:
    """Lay the same numbers out transposed, and with a gap after each."""
    backwards = tuple(reversed(range(tensor.dim())))
    return tensor.permute(backwards).unsqueeze(-1).repeat_interleave(2, -1)[..., 0].permute(backwards)


def all_equal(tensor: Tensor) -> Tensor:
    """One number in every place, with strides of 0, as ``.sum().backward()`` hands it on."""
    return tensor.new_tensor(0.7).expand(tensor.shape)


def extremes(info: FunctionInfo, device: torch.device) -> None:
    """Equal PyTorch's at 0, ±1e4, subnormals, infinities and NaN: also where these come out."""
    numbers = [0.0, -0.0, 1e4, -1e4, 5e-310, -5e-310, torch.inf, -torch.inf, torch.nan]
    for trial in trials(info, device):
        for number in numbers:
            first, *others = trial.values
            first = (
                first.index_fill(0, torch.tensor(0, device=device), number)
                if first.dim()
                else first.fill_(number)
            )
            same(back(trial.ours, (first, *others)), back(trial.theirs, (first, *others)))


def checkpointed(info: FunctionInfo, device: torch.device) -> None:
    """Work under activation checkpointing and with saved-tensor hooks that move what is saved."""
    for trial in trials(info, device):

        def recomputed(*values: Tensor, call: Callable[..., Tensor] = trial.ours) -> Tensor:
            return torch.utils.checkpoint.checkpoint(call, *values, use_reentrant=False)

        same(back(recomputed, trial.values), back(trial.theirs, trial.values))
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor):
            same(back(trial.ours, trial.values), back(trial.theirs, trial.values))


def memory(info: FunctionInfo, device: torch.device) -> None:
    """Save no more bytes for backward than PyTorch does."""
    for trial in trials(info, device):
        ours, theirs = bytes_saved(trial.ours, trial.values), bytes_saved(trial.theirs, trial.values)
        assert ours <= theirs, f"{trial.sample.name}: {ours} bytes, PyTorch {theirs}"


def bytes_saved(call: Callable[..., Tensor], values: Sequence[Tensor]) -> int:
    """Count what autograd keeps until backward, each storage once."""
    storages = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    # Kept until the count is made: an address that is freed would be given out again.
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = call(*[value.detach().requires_grad_() for value in values])
    assert output.requires_grad
    return sum(storages.values())


def repeatable(info: FunctionInfo, device: torch.device) -> None:
    """Give the same bits when called again, also under torch.use_deterministic_algorithms."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        for trial in trials(info, device):
            first, second = back(trial.ours, trial.values), back(trial.ours, trial.values)
            assert all(map(torch.equal, first, second))
    finally:
        torch.use_deterministic_algorithms(before)


def refusals(info: FunctionInfo, device: torch.device) -> None:
    """Refuse at the call what is no tensor, is complex, or has another device or a shape that doesn't fit."""
    for trial in trials(info, device):
        tensors = [place for place, each in enumerate(trial.sample.args) if isinstance(each, Tensor)]
        for place in tensors:
            given = trial.sample.args[place].detach()
            wrong: list[Any] = [given.tolist(), given.to(torch.complex128)]
            if len(tensors) > 1:
                wrong += [given.to("meta"), given.new_zeros(7, *given.shape, 11)]
            for bad in wrong:
                args = [*trial.sample.args[:place], bad, *trial.sample.args[place + 1 :]]
                if not is_refused(info, args, trial.sample.kwargs):
                    raise AssertionError(
                        f"{trial.sample.name}: took {type(bad).__name__} as argument {place}"
                    )


def is_refused(info: FunctionInfo, args: Sequence[Any], options: dict[str, Any]) -> bool:
    """Return whether the call ends in one of our own messages, which name the function."""
    try:
        info.function(*args, **options)
    except Exception as error:  # from the middle of a kernel is not at the call
        ours = str(error).startswith((info.name, "softmax_cross_entropy"))
        return ours and isinstance(error, TypeError | ValueError)
    return False


COLUMNS: dict[str, Callable[[FunctionInfo, torch.device], None]] = {
    "value": value,
    "gradient": gradient,
    "2nd order": second_order,
    "3rd order": third_order,
    "forward mode": forward_mode,
    "vmap": batched,
    "per-sample": per_sample,
    "compile": compiled,
    "export": exported,
    "autocast": autocast,
    "half": half,
    "layouts": layouts,
    "extremes": extremes,
    "checkpoint": checkpointed,
    "memory": memory,
    "same bits": repeatable,
    "bad input": refusals,
}


# ---- the table


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def judge(info: FunctionInfo, device: torch.device) -> dict[str, str]:
    """Run one function through all columns and return the reason for each "no"."""
    reasons = {}
    for name, column in COLUMNS.items():
        try:
            column(info, device)
        except Exception as problem:  # whatever goes wrong is a "no"
            reasons[name] = f"{type(problem).__name__}: {problem}".strip().splitlines()[0]
    return reasons


def report(chosen: Sequence[FunctionInfo], device: torch.device) -> tuple[str, list[str]]:
    """Return the whole text, which the README holds, and the reason for each "no"."""
    reasons = {info.name: judge(info, device) for info in chosen}
    matrix = markdown(
        ["", *COLUMNS],
        [
            [f"`{name}`", *("no" if column in noes else "yes" for column in COLUMNS)]
            for name, noes in reasons.items()
        ],
    )
    legend = "\n".join(f"- **{name}** {column.__doc__}" for name, column in COLUMNS.items())
    sizes = []
    for info in chosen:
        trial = next(trials(info, device))
        sizes.append(
            [
                f"`{info.name}`",
                *(str(bytes_saved(call, trial.values)) for call in (trial.ours, trial.theirs)),
            ]
        )
    saved = markdown(["bytes saved for backward, first sample", "manualgrad", "PyTorch"], sizes)
    noes = [
        f"{name}, {column}: {reason}" for name, each in reasons.items() for column, reason in each.items()
    ]
    return f"{matrix}\n\n{legend}\n\n{saved}", noes


def run(settings: Settings) -> Metrics:
    """Print the matrix, and keep how many cells there were and how many said yes."""
    if settings.only and settings.only not in FUNCTIONS:
        raise UserError(f"--only {settings.only}: no such function; there are {', '.join(FUNCTIONS)}")
    device = prepare(settings.device, settings.seed)
    chosen = [FUNCTIONS[settings.only]] if settings.only else list(FUNCTIONS.values())
    text, noes = report(chosen, device)
    print(text)
    for reason in noes:
        print(f"no: {reason}")
    cells = len(chosen) * len(COLUMNS)
    with Run("support_matrix", settings.only or "all", settings, device) as record:
        metrics = record.finish({"cells": cells, "yes": cells - len(noes)})
    if noes:
        raise UserError(f"{len(noes)} of {cells} cells say no")
    return metrics


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
