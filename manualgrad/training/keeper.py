"""Saves a training now and then, whole, so that it can go on after whatever ended it."""

import os
import shlex
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import torch
from torch.nn import Module

from manualgrad.errors import UserError
from manualgrad.training import distributed
from manualgrad.training.checkpoint import FORMAT, VERSION, load_model, read_checkpoint, write_checkpoint
from manualgrad.training.finite import Guard, NotFiniteError
from manualgrad.training.interruption import Interrupted, Interruption
from manualgrad.training.loop import Score
from manualgrad.training.position import Position
from manualgrad.training.run import Run
from manualgrad.training.settings import TrainingSettings, check_same, kept_settings

SHARE = 0.01  # of the time that saving may take, but for what the settings or a signal ask for


class Stateful(Protocol):
    """What can be saved and go on from there: models, optimizers, and whatever has these two."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, in plain values and tensors."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Take it over."""


class Keeper:
    """Keeps ``checkpoints/last.pt``, from which a run goes on, and ``best.pt``, the weights to use.

    As a context manager it begins with the state that ``--resume`` names, or by saving the first one, and
    tells whoever reads an error how to go on. Ctrl-C and SIGTERM end the run after a whole step, saved.

    Parameters
    ----------
    run : Run
        Whose folder, settings and page it is about.
    model : Module
        The weights to use.
    position : Position
        Counted on here, step by step.
    parts : mapping of str to Stateful
        Everything else that the next step depends on, such as the optimizer. ``"model"`` takes the place of
        the model itself, where its weights are learnt elsewhere.
    guard : Guard, optional
        Asked before anything is saved.
    """

    def __init__(
        self,
        run: Run,
        model: Module,
        position: Position,
        parts: Mapping[str, Stateful],
        guard: Guard | None = None,
    ) -> None:
        assert isinstance(run.settings, TrainingSettings)
        self.settings = run.settings
        self.run, self.model, self.position, self.guard = run, model, position, guard
        # The run is the last to be restored: that changes files, and what does not fit is refused before.
        self._parts: dict[str, Stateful] = {"position": position, "model": model, **parts, "run": run}
        self._last, self._best = (run.folder / "checkpoints" / f"{kind}.pt" for kind in ("last", "best"))
        self._best_figures: dict[str, float] = {}
        self._best_weights: dict[str, Any] | None = None  # until they are written
        self._interruption = Interruption()
        self._saved_at = time.perf_counter()
        self._cost = 0.0  # seconds, of the last time

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            distributed.from_first(lambda: self._lock(stack))
            if self.settings.resume and distributed.from_first(self._last.exists):
                self._restore()
                if distributed.is_first():
                    print(
                        f"going on in epoch {self.position.epoch}, after {self.position.steps} steps in all"
                    )
            else:  # a run that is resumed without a checkpoint ended before its first step
                self._save()
            stack.enter_context(self._interruption)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()
        if error is not None and self._last.is_file():
            script = f"{distributed.launcher()} experiments/{self.run.experiment}.py"
            folder = shlex.quote(str(self.run.folder))
            again = f"{script} --resume {folder}"
            if not isinstance(error, NotFiniteError):
                error.add_note(f"to go on from the last checkpoint: {again}")
                return
            # On a CPU the same would come again.
            error.add_note("a smaller --learning-rate, in a new run, often helps")
            if not self.settings.anomaly:
                error.add_note(f"to find the operation: {again} --anomaly")

    def after_step(self) -> None:
        """Count a step, save if it is time to, and stop if that was asked for.

        Raises
        ------
        Interrupted
            Once everything is saved.
        OSError
            If it cannot be saved. The checkpoint before stays.
        """
        self.position.batches += 1
        self.position.steps += 1
        asked = self._interruption.asked = distributed.anyone(self._interruption.asked)
        every = self.settings.checkpoint_steps
        waited = time.perf_counter() - self._saved_at
        if (
            asked
            or waited >= 60 * self.settings.checkpoint_minutes
            or (every and not self.position.steps % every)
        ):
            self._save()
        if asked:
            raise Interrupted

    def after_training(self) -> None:
        """Save after an epoch's last step, unless epochs are so short that this would slow them down."""
        affordable = time.perf_counter() - self._saved_at >= self._cost / SHARE
        if affordable or self.position.epoch == self.settings.epochs:
            self._save()

    def after_validation(self, validation: Score) -> None:
        """Remember the weights if none before did as well on the validation images."""
        if validation.accuracy <= self._best_figures.get("validation_accuracy", -1.0):
            return
        self._best_figures = {
            "epoch": self.position.epoch,
            "validation_accuracy": validation.accuracy,
            "validation_loss": validation.loss,
        }
        self._best_weights = {name: value.clone() for name, value in self.model.state_dict().items()}

    def take_best(self) -> dict[str, float]:
        """Give the model its best weights, when the training is over.

        Returns
        -------
        dict
            Of which epoch they are, ``epoch``, and their ``validation_accuracy`` and ``validation_loss``.
        """
        self._write_best()
        load_model(self.model, self._read(self._best, "best"), self._best)
        return self._best_figures

    def _save(self) -> None:
        if self.guard:
            self.guard.settle()
        if not distributed.is_first():
            return
        began = time.perf_counter()
        self._write_best()  # first: last.pt may never know of better weights than there are
        state = {name: part.state_dict() for name, part in self._parts.items()}
        if not all(weight.isfinite().all() for weight in state["model"].values()):
            return  # the guard will stop the next step, and the last good checkpoint is still there
        generators = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        others = {"generators": generators, "best": self._best_figures}
        self._write(self._last, "last", state | others)
        self._saved_at = time.perf_counter()
        self._cost = self._saved_at - began

    def _write_best(self) -> None:
        if self._best_weights is not None and distributed.is_first():
            self._write(self._best, "best", self._best_figures | {"model": self._best_weights})
            self._best_weights = None

    def _write(self, path: Path, kind: str, content: dict[str, Any]) -> None:
        header = {
            "format": FORMAT,
            "version": VERSION,
            "kind": kind,
            "experiment": self.run.experiment,
            "settings": kept_settings(self.settings),
        }
        write_checkpoint(path, header | content)

    def _read(self, path: Path, kind: Literal["last", "best"]) -> dict[str, Any]:
        return distributed.from_first(lambda: read_checkpoint(path, kind))

    def _restore(self) -> None:
        content = self._read(self._last, "last")
        check_same(content["settings"], self.settings, self._last)
        load_model(self.model, content, self._last)
        try:
            self._check_epoch(content["position"]["epoch"])
            torch.set_rng_state(content["generators"]["cpu"])
            for index, state in enumerate(content["generators"]["cuda"][: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(state, index)
            self._best_figures = dict(content["best"])
            for name, part in self._parts.items():
                part.load_state_dict(content[name])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as reason:
            raise UserError(f"{self._last} does not fit this run: {reason}") from reason

    def _check_epoch(self, epoch: int) -> None:
        asked = self.settings.epochs
        if epoch > asked:
            raise UserError(f"--epochs {asked}: {self.run.folder} is in epoch {epoch} already")
        if epoch == asked and (self.run.folder / "metrics.json").exists():
            raise UserError(
                f"{self.run.folder} is finished; --epochs with more than {asked} trains it further"
            )

    def _lock(self, stack: ExitStack) -> None:
        """Make the folder, and keep every other process from going on with this run."""
        self._last.parent.mkdir(exist_ok=True)
        try:
            import fcntl
        except ImportError:  # on Windows
            return
        folder = os.open(self._last.parent, os.O_RDONLY)
        stack.callback(os.close, folder)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{self.run.folder} is still running, in another process") from None
        except OSError:  # network file systems lock no folders
            return
