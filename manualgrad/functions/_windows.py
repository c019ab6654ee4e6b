"""What pooling and convolution share: numbers for both directions, and the checks on windows."""

from dataclasses import dataclass, replace

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

    @property
    def extent(self) -> tuple[int, int]:
        """How many rows and columns a window spans, gaps included."""
        (k, m), (down, right) = self.kernel, self.dilation
        return down * (k - 1) + 1, right * (m - 1) + 1

    def output_padding(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return how many of an image's rows and columns lie behind the last window."""
        rows, columns = (
            (length + 2 * padding - extent) % stride
            for length, padding, extent, stride in zip(
                size, self.padding, self.extent, self.stride, strict=True
            )
        )
        return rows, columns


def pair(size: Size) -> tuple[int, int]:
    """Return one number for the rows and one for the columns: a single one serves for both."""
    if isinstance(size, int):
        return size, size
    rows, columns = size if len(size) != 1 else (size[0], size[0])
    return rows, columns


def pooling_windows(kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1) -> Windows:
    """Return the windows of a pooling: without a stride of their own they lie side by side."""
    return Windows(pair(kernel_size), pair(_stride(stride, kernel_size)), pair(padding), pair(dilation))


def convolution_windows(
    kernel: Size, stride: Size, padding: Size | str, dilation: Size
) -> tuple[Windows, tuple[int, int]]:
    """Return the windows of a convolution, and how many first rows and columns are to go from its result.

    To keep an image's size takes extent - 1 rows of zeros. If these are odd in number, PyTorch has one less
    in front than behind. Here there are as many in front, and what the one too many makes is to go.
    """
    windows = Windows(pair(kernel), pair(stride), (0, 0), pair(dilation))
    if not isinstance(padding, str):
        return replace(windows, padding=pair(padding)), (0, 0)
    if padding == "valid":
        return windows, (0, 0)
    rows, columns = (extent - 1 for extent in windows.extent)
    margin = (rows + 1) // 2, (columns + 1) // 2
    return replace(windows, padding=margin), (rows % 2, columns % 2)


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
    windows = pooling_windows(kernel_size, stride, padding, dilation)
    for margin, extent in zip(windows.padding, windows.extent, strict=True):
        if margin > extent // 2:
            raise ValueError(
                f"{function}: padding must be at most half of the window's {extent}, got {padding!r}"
            )
    check_fit(function, input, windows)


def check_convolution(
    function: str, input: Tensor, kernel: Size, stride: Size, padding: Size | str, dilation: Size
) -> None:
    """Raise an error unless a kernel of this kind fits into the images."""
    check_images(function, input)
    check_sizes(function, 1, stride=stride, dilation=dilation)
    if not isinstance(padding, str):
        check_sizes(function, 0, padding=padding)
    elif padding not in ("same", "valid"):
        raise ValueError(f"{function}: padding must be numbers, 'same' or 'valid', got {padding!r}")
    elif padding == "same" and pair(stride) != (1, 1):
        raise ValueError(f"{function}: padding='same' needs stride 1, got {stride!r}")
    check_fit(function, input, convolution_windows(kernel, stride, padding, dilation)[0])


def check_fit(function: str, input: Tensor, windows: Windows) -> None:
    """Raise a ValueError unless an image has room for a window."""
    for size, padding, extent in zip(input.shape[-2:], windows.padding, windows.extent, strict=True):
        if size + 2 * padding < extent:
            raise ValueError(
                f"{function}: a window of {extent} does not fit into {size} + 2 · {padding}, "
                f"got input {tuple(input.shape)}"
            )
