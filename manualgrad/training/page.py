"""A run's page in TensorBoard: one method for each kind of thing that can be shown on it."""

import os
import shlex
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
from torch import Tensor

from manualgrad.pictures import draw
from manualgrad.training.event_file import PATTERN, EventFile
from manualgrad.training.settings import LogLevel

Layout = dict[str, dict[str, list[Any]]]

# What TensorBoard keeps of each tag unless its command says otherwise; of more it shows a random sample.
KEPT = {"scalars": 1000, "images": 10, "histograms": 500, "pr_curves": 100}
BUCKETS = 40  # of a histogram; TensorBoard draws 30


class Page:
    """What TensorBoard shows of one run. A method does nothing where the log level leaves its kind out.

    Parameters
    ----------
    folder : Path
        The run's folder, which gets the event file, and ``pictures/`` as soon as there is one.
    level : {"none", "scalars", "standard", "everything"}
        How much is shown. Curves, texts and hyper-parameters need ``"scalars"``, the rest ``"standard"``.
    """

    def __init__(self, folder: Path, level: LogLevel) -> None:
        self.folder = folder
        self.level = level
        self._earlier = set(folder.glob(PATTERN))  # of a run that is resumed
        self._entries: Counter[tuple[str, str]] = Counter()
        self._events: Any = None  # an EventFile, if anything is shown
        if not self.shows("scalars"):
            return
        # Where TensorFlow is installed TensorBoard imports it, unless there is this module; and beside
        # PyTorch, whose LLVM is another one, it ends the process.
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
        self._events = EventFile(folder)

    def shows(self, level: LogLevel) -> bool:
        """Say whether what belongs to a level is shown on this page."""
        levels = get_args(LogLevel)
        return levels.index(self.level) >= levels.index(level)

    def scalars(self, step: int, figures: dict[str, float]) -> None:
        """Draw one point on each named curve."""
        if not self.shows("scalars"):
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        # All in one event: twenty of add_scalar's, with an event each, take twenty times as long.
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._events.add_summary(Summary(value=values), step)
        self._entries.update(("scalars", tag) for tag in figures)

    def text(self, tag: str, markdown: str) -> None:
        """Put a text into the Text tab."""
        if self.shows("scalars"):
            from torch.utils.tensorboard import summary

            self._events.add_summary(summary.text(tag, markdown))

    def layout(self, charts: Layout) -> None:
        """Arrange the Custom Scalars tab, as ``SummaryWriter.add_custom_scalars`` takes it."""
        if self.shows("scalars"):
            from torch.utils.tensorboard import summary

            self._events.add_summary(summary.custom_scalars(charts))

    def hyper_parameters(self, settings: dict[str, Any]) -> None:
        """Make this run a row of the HParams tab, beside where its curves end.

        ``SummaryWriter.add_hparams`` would write this into a file of its own, which TensorBoard takes for
        the end of the one that it reads.
        """
        if not self.shows("scalars"):
            return
        from torch.utils.tensorboard import summary

        # The first summary lists the columns, and TensorBoard takes any one run's list for all runs.
        # Without it they are every run's settings, those first in which the runs differ, and every curve.
        _, *start_and_end = summary.hparams(settings, {})
        for each in start_and_end:
            self._events.add_summary(each)

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Show how numbers are distributed. What is not finite is left out."""
        if not self.shows("standard"):
            return
        numbers = values.detach().cpu().numpy().ravel()
        finite = np.isfinite(numbers)
        if not finite.all():
            numbers = numbers[finite]
        if not len(numbers):
            return
        # NumPy's even buckets take a fifth of the time of the 1500 that add_histogram sorts numbers into.
        counts, edges = np.histogram(numbers, bins=BUCKETS)
        with np.errstate(over="ignore"):  # the sum of huge weights' squares is infinite
            sum_squares = numbers @ numbers
        from torch.utils.tensorboard import summary

        histogram = summary.histogram_raw(
            tag,
            min=numbers.min(),
            max=numbers.max(),
            num=len(numbers),
            sum=numbers.sum(dtype=np.float64),
            sum_squares=sum_squares,
            bucket_limits=edges[1:].tolist(),
            bucket_counts=counts.tolist(),
        )
        self._events.add_summary(histogram, step)
        self._entries["histograms", tag] += 1

    def picture(self, tag: str, step: int, drawing: str, **content: Any) -> None:
        """Draw a picture, for the Images tab and as a file in ``pictures/``.

        Parameters
        ----------
        tag : str
            Its name on the page.
        step : int
            When this was.
        drawing : str
            A name in ``manualgrad.pictures.drawings.DRAWINGS``.
        **content
            The drawing's arguments: NumPy arrays and plain Python.
        """
        if not self.shows("standard"):
            return
        pictures = self.folder / "pictures"
        pictures.mkdir(exist_ok=True)
        self._entries["images", tag] += 1
        path = pictures / f"{tag.replace('/', ' ').replace(' ', '-')}-{step}.png"
        if problem := draw(drawing, path, content):
            print(problem, file=sys.stderr)
        else:
            self._show_image(tag, step, path)

    def precision_recall(self, tag: str, hits: Tensor, probabilities: Tensor, step: int) -> None:
        """Show what precision each recall costs: truth and probability of N examples, (N,) each."""
        if self.shows("standard"):
            from torch.utils.tensorboard import summary

            curve = summary.pr_curve(tag, hits.cpu().numpy(), probabilities.cpu().numpy())
            self._events.add_summary(curve, step)
            self._entries["pr_curves", tag] += 1

    def figure(self, tag: str, figure: Any) -> None:
        """Show a figure of matplotlib's in the Images tab."""
        if self.shows("standard"):
            from torch.utils.tensorboard import _utils, summary

            self._events.add_summary(summary.image(tag, _utils.figure_to_image(figure), dataformats="CHW"))

    def graph(self, graph: Any) -> None:
        """Show a graph, given as TensorFlow's ``GraphDef`` message, in the Graphs tab."""
        if not self.shows("standard"):
            return
        from tensorboard.compat.proto.event_pb2 import Event

        self._events.add_event(Event(graph_def=graph.SerializeToString()))

    def embedding(self, points: Tensor, labels: list[str], images: Tensor) -> None:
        """Show points of a high-dimensional space in the Projector tab.

        Parameters
        ----------
        points : Tensor
            (N, D).
        labels : list of str
            N of them.
        images : Tensor
            (N, H, W), drawn as the points.
        """
        if not self.shows("standard"):
            return
        # SummaryWriter.add_embedding makes the same four files in ten times the time.
        rows = ("\t".join(map(str, row)) for row in points.double().cpu().numpy().round(4).tolist())
        (self.folder / "embedding.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (self.folder / "labels.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
        columns = int(np.ceil(len(images) ** 0.5))
        sheet = {"images": images.cpu().numpy(), "columns": columns}
        draw("sprite", self.folder / "sprite.png", sheet)
        height, width = images.shape[1:]
        config = f"""embeddings {{
  tensor_name: "penultimate layer"
  tensor_path: "embedding.tsv"
  metadata_path: "labels.tsv"
  sprite {{ image_path: "sprite.png" single_image_dim: {width} single_image_dim: {height} }}
}}
"""
        (self.folder / "projector_config.pbtxt").write_text(config, encoding="utf-8")

    def command(self) -> str:
        """Return the command that opens this page with everything that is on it."""
        most = {
            plugin: max((n for (kind, _), n in self._entries.items() if kind == plugin), default=0)
            for plugin in KEPT
        }
        more = [f"{plugin}={count}" for plugin, count in most.items() if count > KEPT[plugin]]
        command = f"tensorboard --logdir {shlex.quote(str(self.folder))}"
        return command + (f" --samples_per_plugin {','.join(more)}" if more else "")

    def state_dict(self) -> dict[str, Any]:
        """Return how far the page has come: the length of each event file."""
        files = {path.name: path.stat().st_size for path in self.folder.glob(PATTERN)}
        entries = [[kind, tag, count] for (kind, tag), count in self._entries.items()]
        return {"files": files, "entries": entries}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut off what earlier processes put on the page after ``state_dict``, so that no point is doubled.

        TensorBoard's own way, ``purge_step``, would not do: some curves count steps, others epochs.
        """
        for path in self._earlier:
            length = state["files"].get(path.name)
            if length is None:
                path.unlink()
            elif length < path.stat().st_size:
                os.truncate(path, length)
        self._entries = Counter({(kind, tag): count for kind, tag, count in state["entries"]})

    def close(self) -> None:
        """Close the event file."""
        if self._events:
            self._events.close()

    def _show_image(self, tag: str, step: int, path: Path) -> None:
        """Put a PNG file's own bytes into the event file: add_image would decode and encode them again."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        png = path.read_bytes()
        width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])  # where its header has them
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self._events.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
