"""A progress bar where someone is watching, and nothing where the output goes to a file."""

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")


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
        The same items. The bar is on standard error, so that standard output holds results alone.
    """
    if not sys.stderr.isatty():
        return items
    return rich_track(items, description, console=Console(stderr=True), transient=True)
