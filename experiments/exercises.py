"""Can you write the backward yourself?

    python experiments/exercises.py list
    python experiments/exercises.py start square
    python experiments/exercises.py watch

The course writes a file with the forward given and the backward missing. You
write it, save it, and are told at once what is right, what is wrong and why.
It leaves no run folder, and so has no --device, --seed and --runs-dir, which
the other scripts have.
"""

import os
from collections.abc import Sequence

from manualgrad.exercises import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return cli.main(__doc__ or "", f"python {os.path.relpath(__file__)}", argv)


if __name__ == "__main__":
    raise SystemExit(main())
