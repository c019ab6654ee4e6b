"""A progress bar on a terminal, and nothing where standard error goes to a file."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")

PERIOD = 0.1  # seconds between two updates: one a step would take a tenth of XOR's time


@contextmanager
def progress(description: str, total: int, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Show a bar of so many steps for the length of a ``with`` block.

    What it yields takes the number of steps done, and what stands beside the bar, whose ``str`` is asked
    for only when the bar is drawn. The bar is on standard error: standard output holds results alone.
    """
    percent = TextColumn("{task.percentage:>3.0f}%")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeRemainingColumn())
    with Progress(
        *columns, TextColumn("{task.fields[beside]}"), console=Console(stderr=True), transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else rich would bring here what is printed into a file
        disable=not (shown and sys.stderr.isatty()),
    ) as bar:  # fmt: skip
        task, updated = bar.add_task(description, total=total, beside=""), 0.0

        def update(done: int, beside: object = "") -> None:
            nonlocal updated
            if not bar.disable and time.monotonic() - updated > PERIOD:
                bar.update(task, completed=done, beside=str(beside))
                updated = time.monotonic()

        yield update


def track(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Iterate, showing how far it has come."""
    with progress(description, len(items)) as update:
        for done, item in enumerate(items, 1):
            yield item
            update(done)
