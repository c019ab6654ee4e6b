"""The parts of a training script: settings, run folder, batches, metrics, checkpoints, and a monitor."""

from typing import Any

from manualgrad.progress import track
from manualgrad.training import cli
from manualgrad.training.checkpointer import Checkpointer, load_best
from manualgrad.training.cli import parse
from manualgrad.training.command_line import parse_settings
from manualgrad.training.config import Config, TrainConfig, require
from manualgrad.training.descent import GradientDescent
from manualgrad.training.launch import launch as _old_launch
from manualgrad.training.launch import prepare
from manualgrad.training.loader import BatchLoader
from manualgrad.training.loop import Score, gather_batches
from manualgrad.training.metrics import MetricAccumulator, Metrics, evaluate
from manualgrad.training.monitor import TrainingMonitor
from manualgrad.training.nonfinite import check_finite
from manualgrad.training.parallel import distribute, is_first, world_size
from manualgrad.training.run import Run
from manualgrad.training.run_dir import RunDir, log_times
from manualgrad.training.settings import RunSettings, TrainingSettings, changed_settings, option
from manualgrad.training.setup import setup


def launch(main: Any, config_class: Any, *others: Any) -> int:
    """Run a script's ``main``, of the old kind or the new, while scripts move from one to the other."""
    return (cli.launch if issubclass(config_class, Config) else _old_launch)(main, config_class, *others)


__all__ = [
    "BatchLoader",
    "Checkpointer",
    "Config",
    "GradientDescent",
    "MetricAccumulator",
    "Metrics",
    "Run",
    "RunDir",
    "RunSettings",
    "Score",
    "TrainConfig",
    "TrainingMonitor",
    "TrainingSettings",
    "changed_settings",
    "check_finite",
    "distribute",
    "evaluate",
    "gather_batches",
    "is_first",
    "launch",
    "load_best",
    "log_times",
    "option",
    "parse",
    "parse_settings",
    "prepare",
    "require",
    "setup",
    "track",
    "world_size",
]
