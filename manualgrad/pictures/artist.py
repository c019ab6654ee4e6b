"""Has pictures drawn by a second process, so that a step of training never waits for one."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any


class Artist:
    """Draws pictures one after another, in the order in which they were asked for.

    Drawing takes 0.1 to 0.3 seconds a picture, a twentieth of a whole XOR run, and importing matplotlib
    as long again. A process of its own does both beside the training, wherever a second core is free.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        # One thread, which mostly waits for the process: it keeps the order and hears when a picture is done.
        self._queue = ThreadPoolExecutor(max_workers=1, thread_name_prefix="artist")
        self._pictures: list[Future[str | None]] = []

    def draw(
        self,
        drawing: str,
        path: Path,
        content: dict[str, Any],
        when_done: Callable[[Path], None] | None = None,
    ) -> None:
        """Ask for a picture, and go on at once.

        Parameters
        ----------
        drawing : str
            A name in ``manualgrad.pictures.drawings.DRAWINGS``.
        path : Path
            The PNG file to make.
        content : dict
            The drawing's keyword arguments: NumPy arrays and plain Python, which must not change any more.
        when_done : callable, optional
            Called with the path once the file is there, on the artist's thread.
        """
        self._pictures.append(self._queue.submit(self._draw, drawing, path, content, when_done))

    def finish(self) -> list[str]:
        """Wait for all pictures, and say which could not be drawn and why: a run is not lost over one.

        Returns
        -------
        list of str
            A message each; mostly empty.
        """
        return [problem for picture in self._pictures if (problem := picture.result())]

    def close(self) -> None:
        """End the process. Pictures that are not begun yet are given up."""
        self._queue.shutdown(wait=True, cancel_futures=True)
        self._end_process()

    def _end_process(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()
        self._process.wait()
        self._process = None

    def _draw(
        self, drawing: str, path: Path, content: dict[str, Any], when_done: Callable[[Path], None] | None
    ) -> str | None:
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((drawing, path, content), process.stdin)
            process.stdin.flush()
            problem = pickle.load(process.stdout)
        except (BrokenPipeError, EOFError):
            problem = "the drawing process ended"
            self._end_process()
        if problem:
            return f"{path.name} could not be drawn: {problem}"
        if when_done is not None:
            when_done(path)
        return None


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "manualgrad.pictures"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the training; this one ends when its input does
    )
