"""Prepare the process for a run: generators, denormals, the device."""

import os

import torch
import torch.distributed as dist

from manualgrad.errors import UserError
from manualgrad.training import parallel
from manualgrad.training.config import Config


def setup(config: Config, dtype: torch.dtype = torch.float32) -> torch.device:
    """Seed every generator, flush denormals and return the device. Call it before anything is computed.

    Of several processes, which meet here, each gets a CUDA device of its own. A device that is not there, or
    has no such dtype, is a UserError.
    """
    # Pixels that are rarely lit leave Adam's averages at denormal numbers, which slow a CPU down many times.
    # Flushing reaches every thread only before the first parallel operation; RunDir puts it back.
    torch.set_flush_denormal(True)
    torch.manual_seed(config.seed)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = config.device if config.device != "auto" else "cuda" if there["cuda"] else "cpu"
    if not there[kind]:
        present = ", ".join(name for name, available in there.items() if available)
        raise UserError(f"--device {kind}: not on this machine, which has {present}")
    if kind == "mps" and dtype == torch.float64:
        raise UserError("--device mps: has no float64, which this experiment computes with; take cpu")
    device = torch.device(kind)
    if parallel.world_size() > 1:
        if kind == "cuda":
            device = torch.device(kind, int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        if not dist.is_initialized():
            dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo")
    return device
