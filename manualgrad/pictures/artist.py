"""Makes the files of pictures, and keeps a run alive when one cannot be drawn."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Artist:
    """Draws pictures, one of which takes a few hundredths of a second."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def draw(
        self,
        drawing: str,
        path: Path,
        content: dict[str, Any],
        when_done: Callable[[Path], None] | None = None,
    ) -> None:
        """Draw a picture.

        Parameters
        ----------
        drawing : str
            A name in ``manualgrad.pictures.drawings.DRAWINGS``.
        path : Path
            The PNG file to make, whole or not at all.
        content : dict
            The drawing's keyword arguments: NumPy arrays and plain Python.
        when_done : callable, optional
            Called with the path once the file is there.
        """
        from manualgrad.pictures.drawings import DRAWINGS  # here, because a run without pictures needs none

        try:
            aside = path.with_name(path.name + ".part")
            DRAWINGS[drawing](**content).save(aside)
            os.replace(aside, path)
        except Exception:  # whatever it is, a run is not lost over a picture
            self._problems.append(f"{path.name} could not be drawn: {traceback.format_exc()}")
            return
        if when_done is not None:
            when_done(path)

    def finish(self) -> list[str]:
        """Say which pictures could not be drawn, and why.

        Returns
        -------
        list of str
            A message each; mostly empty.
        """
        return self._problems

    def close(self) -> None:
        """Nothing is open."""
