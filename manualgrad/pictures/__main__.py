"""The drawing process: takes pickled requests from its input, and answers each when its file is there."""

import os
import pickle
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from matplotlib.figure import Figure

from manualgrad.pictures.drawings import DRAWINGS


def main(requests: BinaryIO, replies: BinaryIO) -> None:
    """Draw until there are no more requests."""
    while True:
        try:
            drawing, path, content = pickle.load(requests)
        except EOFError:
            return
        problem = draw(drawing, path, content)
        pickle.dump(problem, replies)
        replies.flush()


def draw(drawing: str, path: Path, content: dict[str, Any]) -> str | None:
    """Make one file, whole or not at all; return what went wrong, if anything did."""
    try:
        figure: Figure = DRAWINGS[drawing](**content)
        aside = path.with_name(path.name + ".part")
        figure.savefig(aside, format="png", pil_kwargs={"compress_level": 2})  # 6 takes twice as long
        os.replace(aside, path)
    except Exception:  # whatever it is, the run it belongs to has the place to say so
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # every answer is out; taking matplotlib down in order would keep the run waiting
