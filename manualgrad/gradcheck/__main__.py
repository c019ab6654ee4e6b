"""Check the backward of a Function in a file, and say why if it is wrong.

    python -m manualgrad.gradcheck path/to/file.py:ClassName

checks a torch.autograd.Function. Beside it the file has a function `inputs()`
that returns the arguments of `apply` as a tuple; it may have a function
`reference(...)` with the same arguments, whose gradient is trusted.
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from manualgrad.errors import UserError
from manualgrad.gradcheck import gradcheck
from manualgrad.gradcheck.file import load_target
from manualgrad.gradcheck.hints import HINTS
from manualgrad.gradcheck.report import WIDTH


def main(argv: Sequence[str] | None = None) -> int:
    """Check what the command line names; return 0 if it is right and 1 if not."""
    parser = argparse.ArgumentParser(
        "gradcheck", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="path/to/file.py:ClassName")
    parser.add_argument("--seed", type=int, default=0, help="of the upstream gradients (default 0)")
    parser.add_argument(
        "--allow",
        action="append",
        choices=HINTS,
        metavar="KIND",
        default=[],
        help=f"a kind that is a note only: {', '.join(HINTS)}",
    )
    parser.add_argument("--no-magnitudes", action="store_true", help="look at the given inputs alone")
    options = parser.parse_args(argv)
    try:
        target = load_target(options.target)
    except UserError as problem:
        print(f"gradcheck: error: {problem}", file=sys.stderr)
        return 1
    report = gradcheck(
        target.function,
        target.inputs,
        target.reference,
        allow=options.allow,
        magnitudes=not options.no_magnitudes,
        seed=options.seed,
    )
    report.title = target.name
    Console(width=None if sys.stdout.isatty() else WIDTH).print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
