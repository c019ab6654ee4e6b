"""What every script does around its ``run``: read settings, set the process up, end with one clear line."""

import gc
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from manualgrad.errors import UserError
from manualgrad.training import distributed
from manualgrad.training.command_line import parse_settings
from manualgrad.training.interruption import Interrupted
from manualgrad.training.settings import Settings

Metrics = dict[str, Any]


def launch(
    run: Callable[[Settings], Metrics],
    settings_class: type[Settings],
    description: str | None,
    argv: Sequence[str] | None = None,
) -> int:
    """Run an experiment from the command line.

    Parameters
    ----------
    run : callable
        Takes the settings and returns the run's figures.
    settings_class : type
        The dataclass of its settings.
    description : str
        What ``--help`` prints above the options: the script's docstring.
    argv : sequence of str, optional
        The command line; None takes the process's own.

    Returns
    -------
    int
        The exit status: 0, 1 after a problem that its reader can mend, 130 after Ctrl-C and SIGTERM. The
        problem is one line on standard error, with what was added to it by ``add_note``.

    Raises
    ------
    SystemExit
        With status 2 for a wrong argument.
    """
    program = Path(inspect.getfile(run)).stem
    if argv is None:  # a process of its own
        # What has been imported stays to the end. The collector would look through it once more at the exit,
        # which takes 0.4 s.
        gc.freeze()
    with distributed.joined():
        try:
            run(
                distributed.from_first(
                    lambda: parse_settings(settings_class, argv, program, description or "")
                )
            )
        except UserError as problem:
            return _complain(program, f"error: {problem}", problem)
        except OSError as problem:  # a full disk, a folder that may not be written
            where = f": {os.fsdecode(problem.filename)}" if problem.filename else ""
            return _complain(program, f"error: {problem.strerror or problem}{where}", problem)
        except RuntimeError as problem:
            if not distributed.has_lost_another(problem):
                raise
            message = f"error: another of the {distributed.size()} processes has ended"
            return _complain(program, message, problem)
        except (KeyboardInterrupt, Interrupted) as wish:
            if distributed.is_first():
                _tell(program, "interrupted", wish)
            return 130
    return 0


def _complain(program: str, message: str, problem: Exception) -> int:
    if distributed.first_to_tell():
        _tell(program, message, problem)
    return 1


def _tell(program: str, message: str, reason: BaseException) -> None:
    print(f"{program}: {'; '.join([message, *getattr(reason, '__notes__', [])])}", file=sys.stderr)


def prepare(device: str, seed: int, dtype: torch.dtype = torch.float32) -> torch.device:
    """Seed every generator and choose the device. Call it once, before anything is computed.

    Parameters
    ----------
    device : str
        ``"auto"`` takes CUDA where there is one and the CPU otherwise.
    seed : int
        For PyTorch's generators on all devices.
    dtype : torch.dtype
        What will be computed with.

    Returns
    -------
    torch.device
        The device to compute on. Of several processes on one machine each gets its own CUDA device.

    Raises
    ------
    UserError
        If the device is not there, or does not know the dtype.
    """
    # Pixels that are rarely lit leave Adam's averages at denormal numbers, which the CPU computes with
    # many times slower. It must be said before the first parallel operation to reach every thread.
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if available["cuda"] else "cpu"
    if not available[device]:
        present = ", ".join(name for name, there in available.items() if there)
        raise UserError(f"--device {device}: not on this machine, which has {present}")
    if device == "mps" and dtype == torch.float64:
        raise UserError("--device mps: has no float64, which this experiment computes with; take cpu")
    if device == "cuda" and distributed.size() > 1:
        number, count = distributed.local_rank(), torch.cuda.device_count()
        if number >= count:
            raise UserError(f"--device cuda: this machine has {count}, too few for one a process")
        torch.cuda.set_device(number)
        return torch.device(device, number)
    return torch.device(device)
