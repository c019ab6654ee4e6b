"""Write the backward yourself.

    python -m manualgrad.exercises list
    python -m manualgrad.exercises start square
    python -m manualgrad.exercises watch

The course writes a file with the forward given and the backward missing. You
write it, save it, and are told at once what is right, what is wrong and why.
"""

from manualgrad.exercises import cli, stub

if __name__ == "__main__":
    raise SystemExit(cli.main(__doc__ or "", stub.PROGRAM))
