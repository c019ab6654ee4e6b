"""The run folder: settings at the start, TensorBoard's event file on the way, the figures at the end."""

import dataclasses
import inspect
import json
import platform
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.training import distributed
from manualgrad.training.loop import Score
from manualgrad.training.page import Page
from manualgrad.training.settings import (
    RunSettings,
    TrainingSettings,
    hyper_parameters,
    kept_settings,
    spelled,
)


class Run:
    """One run and its folder ``runs/<experiment>/<date-time>-<variant>-seed<N>/``.

    Use it as a context manager: the event file is closed whatever happens. With ``--resume`` the folder is
    that of the run which goes on. Of several processes that train together only the first writes into it.

    Parameters
    ----------
    experiment : str
        The script's name.
    variant : str
        What makes this run different from others.
    settings : RunSettings
        Written to ``config.json``, with versions and device, and into the page's Text tab.
    device : torch.device
        Where the run computes.

    Attributes
    ----------
    folder : Path
        The run's own folder.
    experiment : str
        The script's name.
    settings : RunSettings
        As given.
    page : Page
        What TensorBoard shows of the run, for everything that ``log`` does not cover.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """

    def __init__(self, experiment: str, variant: str, settings: RunSettings, device: torch.device) -> None:
        resumed = settings.resume if isinstance(settings, TrainingSettings) else None
        name = f"{variant}-seed{settings.seed}"
        self.folder = distributed.from_first(
            lambda: resumed or _make_folder(settings.runs_dir / experiment, name)
        )
        self.experiment = experiment
        self.settings = settings
        self._started = time.perf_counter()
        self._seconds_before = 0.0
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        self._config = {
            "experiment": experiment,
            "settings": kept_settings(settings),
            "device": str(device),
            "processes": distributed.size(),
            "versions": versions,
        }
        anew = not resumed and distributed.is_first()
        if anew:  # first of all: a folder without it cannot be resumed
            write_json(self.folder / "config.json", self._config)
        self.page = Page(self.folder, settings.log if distributed.is_first() else "none")
        if not anew:
            return
        lesson = sys.modules[type(settings).__module__].__doc__  # the script's own docstring
        self.page.text("about/lesson", inspect.cleandoc(lesson or ""))
        self.page.text("about/settings", _table(settings, {"computed on": str(device)} | versions))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.page.close()
        except OSError:  # a full disk, say: if that ended the run, its error is on its way already
            if error is None:
                raise
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(self.folder)
        if isinstance(error, FileNotFoundError) and not self.folder.exists():
            raise UserError(f"{self.folder} was removed while the run was going on") from error

    def seconds(self) -> float:
        """Return the time since the run began; of one that was resumed, without its pauses."""
        return self._seconds_before + time.perf_counter() - self._started

    def state_dict(self) -> dict[str, Any]:
        """Return how far the run and its page have come."""
        return {"seconds": self.seconds(), "page": self.page.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where ``state_dict`` was called: what was shown since then will be shown again."""
        if not distributed.is_first():
            return
        self._seconds_before = state["seconds"]
        self.page.load_state_dict(state["page"])
        write_json(self.folder / "config.json", self._config)  # with more epochs, say
        (self.folder / "metrics.json").unlink(missing_ok=True)  # that was the end of fewer epochs

    def log(self, step: int, figures: dict[str, float]) -> None:
        """Draw one point on each named curve.

        Parameters
        ----------
        step : int
            The position on the horizontal axis.
        figures : dict
            Tag to value, such as ``{"loss/training": 0.3}``.
        """
        self.page.scalars(step, figures)

    def log_scores(self, step: int, **scores: Score) -> None:
        """Draw one point on the loss and accuracy curves of each part of the data.

        Parameters
        ----------
        step : int
            The position on the horizontal axis.
        **scores : Score
            By the part's name: ``training=...``, ``validation=...``.
        """
        for part, score in scores.items():
            self.log(step, {f"loss/{part}": score.loss, f"accuracy/{part}": score.accuracy})

    def finish(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Write ``metrics.json``, and print where the run is and how to look at it.

        Parameters
        ----------
        metrics : dict
            The final figures.

        Returns
        -------
        dict
            The same with ``seconds``, the time since the run began.
        """
        plain = {
            name: value
            for name, value in hyper_parameters(self.settings).items()
            # TensorBoard ticks the first five columns only: a switch that is off need not be one of them.
            if value is not False and isinstance(value, int | float | str)
        }
        self.page.hyper_parameters(plain)
        metrics = metrics | {"seconds": round(self.seconds(), 3)}
        if distributed.is_first():
            write_json(self.folder / "metrics.json", metrics)
        print(f"run folder: {self.folder}")
        print(f"look at it: {self.page.command()}")
        return metrics


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is either whole or not there.

    Parameters
    ----------
    path : Path
        Where it goes.
    content : dict
        What JSON can hold; anything else, such as a path, is written as its string.
    """
    write_atomically(path, (json.dumps(content, indent=2, default=str) + "\n").encode())


def _table(settings: RunSettings, others: dict[str, str]) -> str:
    """Write the settings with what they mean, and other entries, as a table in Markdown."""
    rows = [("setting", "value", "meaning"), ("---", "---", "---")]
    for field in dataclasses.fields(settings):
        if field.metadata["role"] != "once":
            value = _in_words(getattr(settings, field.name))
            rows.append((spelled(field), value, field.metadata["help"]))
    rows += [(name, value, "") for name, value in others.items()]
    cells = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _in_words(value: Any) -> str:
    """Write a setting for readers who need not know Python's words."""
    if value is None or value == ():
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return words.encode(errors="replace").decode()  # a file's name may be any bytes


def _make_folder(parent: Path, name: str) -> Path:
    """Make a folder that no other run has, also when two begin within one second."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    for attempt in range(1, 1000):
        folder = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            # mkdir also says so when a file stands where the parent should be.
            if not parent.is_dir():
                raise
    raise FileExistsError(f"{parent / stem}: a thousand runs began in this second")
