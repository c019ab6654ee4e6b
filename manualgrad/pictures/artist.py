"""Makes the file of a picture, and keeps a run alive when one cannot be drawn."""

import os
import traceback
from pathlib import Path
from typing import Any


def draw(drawing: str, path: Path, content: dict[str, Any]) -> str | None:
    """Draw a picture, which takes a few hundredths of a second.

    Parameters
    ----------
    drawing : str
        A name in ``manualgrad.pictures.drawings.DRAWINGS``.
    path : Path
        The PNG file to make, whole or not at all.
    content : dict
        The drawing's keyword arguments: NumPy arrays and plain Python.

    Returns
    -------
    str or None
        Why it could not be drawn, if it could not: a run is not lost over a picture.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from manualgrad.pictures.drawings import DRAWINGS  # here, because a run without pictures needs none

    try:
        canvas = DRAWINGS[drawing](**content)
    except Exception:
        return f"{path.name} could not be drawn: {traceback.format_exc()}"
    aside = path.with_name(path.name + ".part")
    canvas.save(aside)
    os.replace(aside, path)
    return None
