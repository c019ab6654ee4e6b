"""What pooling and convolution share: numbers for both directions."""

from dataclasses import dataclass, replace

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


def pair(size: Size) -> tuple[int, int]:
    """Return one number for the rows and one for the columns: a single one serves for both."""
    if isinstance(size, int):
        return size, size
    if len(size) not in (1, 2):
        raise ValueError(f"expected one whole number, or one for rows and one for columns, got {size!r}")
    return size[0], size[-1]


def pooling_windows(kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1) -> Windows:
    """Return the windows of a pooling: without a stride of their own they lie side by side."""
    if stride is None or stride in ((), []):  # PyTorch takes an empty one for none, too
        stride = kernel_size
    return Windows(pair(kernel_size), pair(stride), pair(padding), pair(dilation))


def convolution_windows(
    kernel: Size, stride: Size, padding: Size | str, dilation: Size
) -> tuple[Windows, tuple[int, int]]:
    """Return the windows of a convolution, and how many first rows and columns are to go from its result.

    To keep an image's size takes extent - 1 rows of zeros. If these are odd in number, PyTorch has one less
    in front than behind. Here there are as many in front, and what the one too many makes is to go.
    """
    windows = Windows(pair(kernel), pair(stride), (0, 0), pair(dilation))
    if padding == "valid":
        return windows, (0, 0)
    if not isinstance(padding, str):
        return replace(windows, padding=pair(padding)), (0, 0)
    if padding != "same" or windows.stride != (1, 1):
        raise ValueError(
            "conv2d: padding must be numbers, 'valid', or with stride 1 'same', "
            f"got {padding!r} with stride {stride!r}"
        )
    rows, columns = (extent - 1 for extent in windows.extent)
    margin = (rows + 1) // 2, (columns + 1) // 2
    return replace(windows, padding=margin), (rows % 2, columns % 2)
