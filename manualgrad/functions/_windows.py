"""What pooling and convolution share: numbers for both directions, and the checks on windows."""

from dataclasses import dataclass

from torch import Tensor

from manualgrad.functions._checks import check_numbers

Size = int | tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Where windows lie: each number once for the rows and once for the columns.

    An object of its own, since ``torch.func`` takes a Function's arguments apart where they are tuples.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)


def pair(size: Size) -> tuple[int, int]:
    """Return one number for the rows and one for the columns: a single one serves for both."""
    if isinstance(size, int):
        return size, size
    rows, columns = size if len(size) != 1 else (size[0], size[0])
    return rows, columns


def pooling_windows(kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1) -> Windows:
    """Return the windows of a pooling: without a stride of their own they lie side by side."""
    return Windows(pair(kernel_size), pair(_stride(stride, kernel_size)), pair(padding), pair(dilation))


def _stride(stride: Size | None, kernel_size: Size) -> Size:
    """Return the stride; like PyTorch, take an empty one for none."""
    return kernel_size if stride is None or stride in ((), []) else stride


def check_images(function: str, input: Tensor) -> None:
    """Raise an error unless input holds images of numbers, with or without a batch."""
    check_numbers(function, input=input)
    if input.dim() not in (3, 4):
        raise ValueError(
            f"{function}: input must have shape (N, C, H, W) or (C, H, W), got {tuple(input.shape)}"
        )


def check_sizes(function: str, minimum: int, **sizes: Size) -> None:
    """Raise an error unless each is a whole number from ``minimum``, or a pair of them."""
    for name, size in sizes.items():
        numbers = (size,) if isinstance(size, int) else tuple(size)
        whole = all(isinstance(number, int) and number >= minimum for number in numbers)
        if not whole or len(numbers) not in (1, 2):
            raise ValueError(f"{function}: {name} must be an int of at least {minimum} or two, got {size!r}")


def check_pooling(
    function: str, input: Tensor, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size
) -> None:
    """Raise an error unless windows of this kind fit into the images."""
    check_images(function, input)
    check_sizes(function, 1, kernel_size=kernel_size, stride=_stride(stride, kernel_size), dilation=dilation)
    check_sizes(function, 0, padding=padding)
    for side, size in enumerate(input.shape[-2:]):
        kernel, pad = pair(kernel_size)[side], pair(padding)[side]
        extent = (kernel - 1) * pair(dilation)[side] + 1
        if pad > extent // 2:
            raise ValueError(
                f"{function}: padding must be at most half of the window's {extent}, got {padding!r}"
            )
        if size + 2 * pad < extent:
            raise ValueError(
                f"{function}: a window of {extent} does not fit into {size} + 2 · {pad}, "
                f"got input {tuple(input.shape)}"
            )
