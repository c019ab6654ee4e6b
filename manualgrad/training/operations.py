"""Every single operation of a piece of PyTorch code, and which of them made a number that is not finite."""

import linecache
import sys
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

TORCH = Path(torch.__file__).parent


class Trail:
    """Follows numbers that are not finite from where they come up to where they arrive.

    An infinity may be meant, such as the mask of a softmax, and vanish again. So what counts is not which is
    the first, but which is the first to arrive.
    """

    def __init__(self) -> None:
        self.births: list[str] = []  # what made such numbers from finite ones, in order
        self._births_of: dict[Hashable, int] = {}  # the earliest that has a part in what lies there

    def pass_on(self, read: Iterable[Hashable], written: Iterable[Hashable], who: Callable[[], str]) -> None:
        """Note that something read numbers and wrote others; the places of those that are not finite."""
        written = list(written)
        if not written:
            return
        known = [self._births_of[place] for place in read if place in self._births_of]
        if not known:
            known = [len(self.births)]
            self.births.append(who())
        for place in written:
            self._births_of[place] = min(known)

    def origin(self, places: Iterable[Hashable]) -> str | None:
        """Return the earliest of what arrived in one of the places, if anything did."""
        arrived = [self._births_of[place] for place in places if place in self._births_of]
        return self.births[min(arrived)] if arrived else None


class Operations(TorchDispatchMode):
    """Looks at what every operation reads and writes, in a ``with`` block.

    Parameters
    ----------
    names : dict, optional
        Tensors that are written in place. Which of them was the first to hold such a number is noted. Where
        two begin at the same address, it goes by the later name.
    caller : callable, optional
        Tells which code an operation belongs to whose caller is PyTorch itself.

    Attributes
    ----------
    trail : Trail
        From operation to operation.
    first_named : tuple or None
        The name and the content of the first of the named tensors that was not finite.
    """

    def __init__(
        self, names: dict[str, Tensor] | None = None, caller: Callable[[], str | None] = lambda: None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names = {tensor.data_ptr(): name for name, tensor in (names or {}).items()}
        self.caller = caller
        self.trail = Trail()
        self.first_named: tuple[str, Tensor] | None = None
        self._opened_in = sys._getframe(1).f_code.co_filename

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        targets = {argument.name for argument in func._schema.arguments if argument.is_out}
        inputs = tree_leaves((args, {name: value for name, value in kwargs.items() if name not in targets}))
        read = {memory(tensor) for tensor in inputs if is_bad(tensor)}
        result = func(*args, **kwargs)
        bad = [tensor for tensor in tree_leaves(result) if is_bad(tensor)]
        if "empty" in func.__name__:  # whatever is in there, it is no result
            bad = []
        self.trail.pass_on(read, map(memory, bad), lambda: f"{func.overloadpacket} in {self._place()}")
        for tensor in bad:
            if self.first_named is None and tensor.data_ptr() in self.names:
                self.first_named = self.names[tensor.data_ptr()], tensor.clone()
        return result

    def origin(self, tensors: Iterable[Tensor | None]) -> str:
        """Name the operation that what is not finite in these tensors comes from, and where it is written."""
        origin = self.trail.origin(memory(tensor) for tensor in tensors if is_bad(tensor))
        if origin:
            return f"The operation is {origin}"
        return "The operation is one of the first that gave such numbers: " + "; ".join(self.trail.births[:3])

    def _place(self) -> str:
        """Return the innermost line that is not PyTorch's own."""
        frame: FrameType | None = sys._getframe(1)
        while frame and (frame.f_code.co_filename == __file__ or in_pytorch(frame.f_code.co_filename)):
            frame = frame.f_back
        assert frame is not None
        file, line = frame.f_code.co_filename, frame.f_lineno
        if file == self._opened_in and (of_caller := self.caller()):
            return of_caller
        return source_line(file, line)


def memory(tensor: Tensor) -> int:
    """Return where a tensor's numbers lie: the same for all views of them."""
    return tensor.untyped_storage().data_ptr()


def is_bad(value: Any) -> TypeGuard[Tensor]:
    """Return whether this is a tensor that holds a NaN or an infinity."""
    return isinstance(value, Tensor) and not bool(value.isfinite().all())


def in_pytorch(file: str) -> bool:
    """Return whether a file belongs to PyTorch."""
    return Path(file).is_relative_to(TORCH)


def relative(file: str | Path) -> str:
    """Return a file's path as a person would type it here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def source_line(file: str, number: int) -> str:
    """Return the place and the text of a line of code."""
    return f"{relative(file)}:{number}: `{linecache.getline(file, number).strip()}`"
