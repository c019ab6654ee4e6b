"""The plain loop, the run folder and its TensorBoard log, and what a script does around them."""

from manualgrad.progress import track
from manualgrad.training.command_line import parse_settings
from manualgrad.training.descent import GradientDescent
from manualgrad.training.keeper import Keeper, Stateful
from manualgrad.training.launch import Metrics, launch, prepare
from manualgrad.training.loop import Score, evaluate, gather_batches, train_epoch
from manualgrad.training.position import Position
from manualgrad.training.run import Run
from manualgrad.training.settings import RunSettings, TrainingSettings, changed_settings, option
from manualgrad.training.watch import Watch

__all__ = [
    "GradientDescent",
    "Keeper",
    "Metrics",
    "Position",
    "Run",
    "RunSettings",
    "Score",
    "Stateful",
    "TrainingSettings",
    "Watch",
    "changed_settings",
    "evaluate",
    "gather_batches",
    "launch",
    "option",
    "parse_settings",
    "prepare",
    "track",
    "train_epoch",
]
