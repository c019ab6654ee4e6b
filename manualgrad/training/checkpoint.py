"""Save a training atomically, so that it can go on after whatever ended it."""

import io
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch.nn import Module

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.training import parallel
from manualgrad.training.config import TrainConfig, flag, hyper_parameters
from manualgrad.training.loader import BatchLoader
from manualgrad.training.nonfinite import NonFiniteError
from manualgrad.training.run_dir import RunDir

FORMAT = "manualgrad checkpoint 4"


class Checkpointer:
    """Keep ``checkpoints/last.pt``, from which a run is resumed, and ``best.pt``, the weights to use.

    As a context manager it restores what ``--resume`` names, or saves the initial state. Ctrl-C and SIGTERM
    end the run after a whole step, saved; whoever reads an error is told how to resume.

    The run's settings are a ``TrainConfig``; the loader counts the steps. The others are all else that the
    next step depends on, such as the optimizer: whatever has ``state_dict`` and ``load_state_dict``.
    """

    def __init__(self, run: RunDir, model: Module, loader: BatchLoader, **others: Any) -> None:
        assert isinstance(run.config, TrainConfig)
        self.run, self.config, self.model, self.loader = run, run.config, model, loader
        self._parts: dict[str, Any] = {"loader": loader, "model": model, **others}
        self._last, self._best = (run.path / "checkpoints" / name for name in ("last.pt", "best.pt"))
        self._best_accuracy = -1.0
        self._stop = False  # a signal has come
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if self.config.resume and parallel.from_first(self._last.exists):
            self._restore()
            print(f"resuming in epoch {self.loader.epoch}, after {self.loader.step} steps")
        else:  # a run without a checkpoint ended before its first step
            self._save()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._handlers.items():
            signal.signal(number, before)
        if isinstance(error, NonFiniteError):  # the same would come again
            error.add_note("a smaller --learning-rate, in a new run, often helps")
        elif error:
            processes = parallel.world_size()
            launcher = "python" if processes == 1 else f"torchrun --nproc-per-node {processes}"
            error.add_note(f"to resume: {launcher} {sys.argv[0]} --resume {shlex.quote(str(self.run.path))}")

    def after_step(self) -> None:
        """After a signal save and raise KeyboardInterrupt; ``end_epoch`` does so at an epoch's last step."""
        if parallel.any_rank(self._stop) and not self.loader.at_last_batch():
            self._save()
            raise KeyboardInterrupt

    def end_epoch(self, accuracy: float) -> None:
        """Keep the weights if their accuracy on the validation images is the best so far, and save.

        Call it when the epoch's metrics are logged: a run that is resumed from here does not log them again.
        After a signal it then raises KeyboardInterrupt.
        """
        if accuracy > self._best_accuracy:
            self._best_accuracy = accuracy
            # First: last.pt may never know of better weights than there are.
            write_checkpoint(self._best, {"model": self.model.state_dict()})
        self._save()
        if parallel.any_rank(self._stop):
            raise KeyboardInterrupt

    def load_best_weights(self) -> None:
        """Give the model its best weights."""
        load_best(self._best, self.model)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Note that the run is to stop; in a process alone a second signal stops it at once."""
        if self._stop and parallel.world_size() == 1:  # torchrun sends each signal several times
            raise KeyboardInterrupt
        self._stop = True

    def _save(self) -> None:
        self.run.flush()  # the curves up to here are part of what is resumed
        state = {name: part.state_dict() for name, part in self._parts.items()}
        generators = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        header = {"settings": hyper_parameters(self.config), "best_accuracy": self._best_accuracy}
        write_checkpoint(self._last, header | state | {"generators": generators})

    def _restore(self) -> None:
        content = read_checkpoint(self._last)
        settings = hyper_parameters(self.config)
        for name, was in content["settings"].items():
            if name != "epochs" and settings.get(name) != was:
                raise UserError(f"{flag(name)} {settings.get(name)}: the run was begun with {was}")
        load_model(self.model, content, self._last)
        done, last = content["loader"]["step"], self.config.epochs * len(self.loader)
        if done > last or (done == last and (self.run.path / "metrics.json").exists()):
            raise UserError(f"{self.run.path} is finished: it has {done // len(self.loader)} epochs")
        torch.set_rng_state(content["generators"]["cpu"])
        torch.cuda.set_rng_state_all(content["generators"]["cuda"][: torch.cuda.device_count()])
        self._best_accuracy = content["best_accuracy"]
        for name, part in self._parts.items():
            part.load_state_dict(content[name])
        self.run.resume(self.loader.step)  # the last: it changes files


def load_best(path: Path, model: Module) -> None:
    """Load the best weights of a run, named by its folder or by a checkpoint, into a model.

    That it is another program's or another network's is a UserError; that there is none, an OSError.
    """
    path = path / "checkpoints" / "best.pt" if path.is_dir() else path
    load_model(model, read_checkpoint(path), path)


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write plain values and tensors atomically, in the first of several processes."""
    if parallel.is_first():
        saved = io.BytesIO()  # in memory first: a full disk is then an OSError, and not one of PyTorch's
        torch.save({"format": FORMAT} | content, saved)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, saved.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of ours, all tensors on the CPU, or raise a UserError."""
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except OSError:  # it is missing, say
        raise
    except Exception as reason:  # every parser has errors of its own, and all mean the same
        raise UserError(f"{path} cannot be used: it was cut off, or is no checkpoint") from reason
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} cannot be used: it is another program's, or another version's")
    return content


def load_model(model: Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Load a checkpoint's weights, or raise a UserError whose one line has the first difference."""
    try:
        model.load_state_dict(checkpoint["model"])
    except (KeyError, TypeError, AttributeError, RuntimeError) as reason:
        difference = " ".join(str(reason).split(":", 1)[-1].split())
        raise UserError(f"{path} belongs to another network: {difference}") from reason
