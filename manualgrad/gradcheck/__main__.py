"""Check the backward of a Function in a file, and say why if it is wrong.

    python -m manualgrad.gradcheck path/to/file.py:ClassName

checks a torch.autograd.Function. Beside it the file has a function `inputs()`
that returns the arguments of `apply` as a tuple; it may have a function
`reference(...)` with the same arguments, whose gradient is trusted.
"""

import argparse
import sys
from collections.abc import Sequence

from manualgrad.errors import UserError
from manualgrad.gradcheck import gradcheck
from manualgrad.gradcheck.file import load_target
from manualgrad.gradcheck.hints import HINTS


def main(argv: Sequence[str] | None = None) -> int:
    """Check what the command line names; return 0 if it is right and 1 if not."""
    parser = argparse.ArgumentParser(
        "gradcheck",
        usage="gradcheck path/to/file.py:ClassName [--allow KIND] [--no-magnitudes] [--seed N]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", help="path/to/file.py:ClassName")
    parser.add_argument(
        "--allow", action="append", metavar="KIND", default=[], help="a kind that is a note only"
    )
    parser.add_argument("--no-magnitudes", action="store_true", help="look at the given inputs alone")
    parser.add_argument("--seed", type=int, default=0, help="of the upstream gradients (default 0)")
    options = parser.parse_args(argv)
    if unheard := sorted(set(options.allow) - HINTS.keys()):
        parser.error(f"--allow {unheard[0]}: expected one of {', '.join(HINTS)}")
    try:
        name, function, inputs, reference = load_target(options.target)
    except UserError as problem:
        print(f"gradcheck: error: {problem}", file=sys.stderr)
        return 1
    magnitudes = not options.no_magnitudes
    report = gradcheck(
        function, inputs, reference, allow=options.allow, magnitudes=magnitudes, seed=options.seed
    )
    report.title = name
    if sys.stdout.isatty():
        import rich

        rich.print(report)
    else:
        print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
