"""The run folder: settings at the start, TensorBoard's event files on the way, the figures at the end."""

import inspect
import io
import itertools
import json
import platform
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from manualgrad.atomic import write_atomically
from manualgrad.training import parallel
from manualgrad.training.config import Config, TrainConfig, changed, hyper_parameters

ADDRESS = "http://localhost:6006/#custom_scalars&_smoothingWeight=0"


class RunDir:
    """One run and its folder ``runs/<experiment>/<date-time>-<what differs from the defaults>-seed<N>/``.

    Use it as a context manager: it prints where to look, and closes its files whatever happens. With
    ``--resume`` the folder is that of the run which goes on. Of several processes only the first writes.
    The settings are written to ``config.json``, with versions and device, and into the Text tab.

    Attributes
    ----------
    path : Path
        The folder.
    logs, full : bool
        Whether this process logs anything, and whether it logs pictures and distributions, too.
    """

    def __init__(self, experiment: str, config: Config, device: torch.device) -> None:
        self.experiment, self.config, self.device = experiment, config, device
        self.logs = config.log != "none" and parallel.is_first()
        self.full = config.log == "full" and self.logs
        self.descriptions: dict[str, str] = {}  # of charts, by their tags
        self._writers: dict[str, Any] = {}
        self._purge_step: int | None = None
        self._started = time.perf_counter()
        resumed = getattr(config, "resume", None)
        self.path: Path = parallel.from_first(lambda: resumed or self._make())
        if resumed or not self.logs:
            return
        for part in ("", "training", "validation", "test") if isinstance(config, TrainConfig) else ():
            self.writer(part)  # the first of TensorBoard's seven colours, so that no layer shares them
        lesson = inspect.getmodule(type(config))  # the script
        self.writer().add_text("about/lesson", inspect.cleandoc((lesson and lesson.__doc__) or ""))
        given = ((key, value) for key, value in vars(config).items() if value is not None)
        settings = {key.replace("_", "-"): value for key, value in given}
        self.writer().add_text("about/settings", to_table("setting", "value", settings))

    def __enter__(self) -> Self:
        self._say_where()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.set_flush_denormal(False)  # which `setup` has set: a notebook goes on after the run
        # If a full disk ended the run, its error is on its way already.
        with suppress(OSError) if error else nullcontext():
            for writer in self._writers.values():
                writer.close()

    def writer(self, part: str = "") -> Any:
        """Return the run's ``SummaryWriter``, or that of a sub-run: lines in a colour of their own."""
        if part not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            self._writers[part] = SummaryWriter(self.path / part, purge_step=self._purge_step)
        return self._writers[part]

    def log_scalars(self, step: int, scalars: dict[str, float], part: str = "") -> None:
        """Draw one point above a step on each curve of the run or of a sub-run: ``{"loss": 0.3}``."""
        if not self.logs:
            return
        from tensorboard.compat.proto import summary_pb2 as proto

        # One event for all of them, which add_scalar has no way to do, nor to describe a chart.
        plugin, summary = proto.SummaryMetadata.PluginData(plugin_name="scalars"), proto.Summary()
        for tag, value in scalars.items():
            metadata = proto.SummaryMetadata(
                plugin_data=plugin,
                data_class=proto.DATA_CLASS_SCALAR,
                summary_description=self.descriptions.get(tag, ""),
            )
            summary.value.add(tag=tag, simple_value=value, metadata=metadata)
        self.writer(part).file_writer.add_summary(summary, step)

    def log_figure(self, tag: str, step: int, plot: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Show the matplotlib figure that ``plot(*args, **kwargs)`` returns, if pictures are logged."""
        if not self.full:
            return
        from tensorboard.compat.proto import summary_pb2 as proto

        # add_figure would import pyplot, too, and take twice the time to pack the picture a little smaller.
        figure = plot(*args, **kwargs)
        figure.savefig(file := io.BytesIO(), format="png", pil_kwargs={"compress_level": 1})
        width, height = figure.canvas.get_width_height()
        image = proto.Summary.Image(width=width, height=height, encoded_image_string=file.getvalue())
        summary = proto.Summary(value=[proto.Summary.Value(tag=tag, image=image)])
        self.writer().file_writer.add_summary(summary, step)

    def flush(self) -> None:
        """Write what was logged to the disk."""
        for writer in self._writers.values():
            writer.flush()

    def finish(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Write ``metrics.json``, with the seconds since the start, say where it is, return the metrics."""
        metrics = metrics | {"seconds": round(time.perf_counter() - self._started, 3)}
        if self.logs:
            from torch.utils.tensorboard import summary

            chosen = hyper_parameters(self.config).items()
            settings = {k: v for k, v in chosen if isinstance(v, int | float | str) and v is not False}
            # The first of its parts would fix the HParams tab's columns for all runs; without it they are
            # what the runs differ in, and every curve. And add_hparams begins another event file.
            for part in summary.hparams(settings, {})[1:]:
                self.writer().file_writer.add_summary(part)
        if parallel.is_first():
            write_json(self.path / "metrics.json", metrics)
        self._say_where()
        return metrics

    def resume(self, step: int) -> None:
        """Go on after a step: what the run logged behind it goes, as do the figures of an earlier end."""
        self._purge_step = step + 1
        if parallel.is_first():
            self._write_config(self.path)  # with more epochs, say
            (self.path / "metrics.json").unlink(missing_ok=True)

    def _say_where(self) -> None:
        print(f"run folder: {self.path}")
        if self.logs:
            logdir = shlex.quote(str(self.path.parent))
            print(f"look at it: tensorboard --logdir {logdir}\n            {ADDRESS}")

    def _make(self) -> Path:
        """Make a folder that no other run has, also when two begin within one second."""
        stem = [time.strftime("%Y%m%d-%H%M%S"), changed(self.config), f"seed{self.config.seed}"]
        parent = self.config.runs_dir / self.experiment
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = parent / "-".join(filter(None, [*stem, str(number) if number > 1 else ""]))
            with suppress(FileExistsError):
                path.mkdir()
                break
        self._write_config(path)  # a folder without it cannot be resumed
        return path

    def _write_config(self, path: Path) -> None:
        content = {
            "experiment": self.experiment,
            "settings": vars(self.config),
            "device": str(self.device),
            "processes": parallel.world_size(),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }
        write_json(path / "config.json", content)


def log_times(last: int, count: int = 10) -> list[int]:
    """Return at which of the steps from 1 to the last to look, as learning has them.

    They are the first, and then, from a hundredth of the last on, each the same factor after the one before;
    so many at most, because TensorBoard keeps ten pictures of a tag.
    """
    begin = max(1.0, last / 100)
    later = {round(begin * (last / begin) ** (number / max(count - 2, 1))) for number in range(count - 1)}
    return sorted({1, last} | later)


def to_table(left: str, right: str, rows: Mapping[str, object]) -> str:
    """Write a table of two columns in Markdown, as the Text tab reads it."""
    return "\n".join([f"| {left} | {right} |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows.items())])


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically; what JSON does not know, such as a path, as its string."""
    write_atomically(path, (json.dumps(content, indent=2, default=str) + "\n").encode())
