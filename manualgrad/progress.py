"""A progress bar where someone is watching, and nothing where the output goes to a file."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")

PERIOD = 0.1  # seconds between two updates: to update at every step would take a tenth of exclusive or's


@contextmanager
def progress(
    description: str, total: int, done: int = 0, shown: bool = True
) -> Iterator[Callable[[Iterable[Item]], Iterable[Item]]]:
    """Show a bar for the length of a ``with`` block. It moves with the items that go through it.

    Parameters
    ----------
    description : str
        Stands before the bar.
    total : int
        How many items there will be.
    done : int
        Of those, how many were done before.
    shown : bool
        False for no bar.

    Yields
    ------
    callable
        Returns the items that it is given, and counts them; call it as often as you like. The bar is on
        standard error, so that standard output holds results alone.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda items: items
        return
    # What is printed meanwhile goes above the bar, but not if it goes elsewhere: rich would bring it here.
    beside = sys.stdout.isatty()
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=beside) as bar:
        task = bar.add_task(description, total=total, completed=done)

        def counted(items: Iterable[Item]) -> Iterator[Item]:
            nonlocal done
            updated = time.monotonic()
            for item in items:
                yield item
                done += 1
                if time.monotonic() - updated > PERIOD:
                    bar.update(task, completed=done)
                    updated = time.monotonic()

        yield counted


def track(items: Sequence[Item], description: str) -> Iterable[Item]:
    """Iterate, showing how far it has come.

    Parameters
    ----------
    items : sequence
        What to go through.
    description : str
        Stands before the bar.

    Returns
    -------
    iterable
        The same items.
    """
    return _track(items, description) if sys.stderr.isatty() else items


def _track(items: Sequence[Item], description: str) -> Iterator[Item]:
    with progress(description, len(items)) as counted:
        yield from counted(items)
