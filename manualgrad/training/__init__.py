"""The parts of a training script: settings, run folder, batches, metrics, checkpoints, and a monitor."""

from manualgrad.training.checkpoint import Checkpointer, load_best
from manualgrad.training.cli import launch
from manualgrad.training.config import Config, TrainConfig, check_range
from manualgrad.training.descent import GradientDescent
from manualgrad.training.loader import BatchLoader
from manualgrad.training.metrics import MetricAccumulator, Metrics, evaluate
from manualgrad.training.monitor import TrainingMonitor
from manualgrad.training.nonfinite import check_finite
from manualgrad.training.parallel import distribute, is_first, world_size
from manualgrad.training.run_dir import RunDir, log_times
from manualgrad.training.setup import setup

__all__ = [
    "BatchLoader",
    "Checkpointer",
    "Config",
    "GradientDescent",
    "MetricAccumulator",
    "Metrics",
    "RunDir",
    "TrainConfig",
    "TrainingMonitor",
    "check_finite",
    "check_range",
    "distribute",
    "evaluate",
    "is_first",
    "launch",
    "load_best",
    "log_times",
    "setup",
    "world_size",
]
