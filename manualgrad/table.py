"""Tables on a terminal or, without colours and never cut, in a file."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

FILE_WIDTH = 200  # a file has no width of its own: enough for any table


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table under a title, if it has rows: the first column, and one without a name, flush left."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="right" if index and name else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if table.row_count:
        console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
        console.print(Text(title, style="bold"))  # a title of the table's own breaks where the table ends
        console.print(table)
