"""Several processes that train one network together, on one machine or on several.

    torchrun --nproc-per-node 2 experiments/mnist.py

Each process has the whole network and all the data, and draws the same batches in the same order. Of each
batch it computes its own rows' logits. Then the logits of all rows are put together, and from there on every
process sees what a process alone would see: the logits, the loss and, after ``backward``, the gradients of
the whole batch. So the loop, its figures and what looks at them need not know how many processes there are,
nor do a checkpoint and the run that goes on from it.

In a process alone, which is the usual case, each of these functions does nothing.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import timedelta
from types import FrameType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel

Thing = TypeVar("Thing")

# How long a process waits for one that is silent. That of one that has died is noticed at once; this is for a
# machine that has lost its power or its network, and must be longer than the first process ever works alone.
PATIENCE = timedelta(minutes=5)

_store: Any = None  # a few words that all processes can read, even when one has died


def size() -> int:
    """Return how many processes train together: 1 unless torchrun has started more."""
    return dist.get_world_size() if _together() else 1


def rank() -> int:
    """Return this process's number among them, from 0."""
    return dist.get_rank() if _together() else 0


def local_rank() -> int:
    """Return this process's number among those on the same machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if _together() else 0


def is_first() -> bool:
    """Return whether this is the process that prints, logs and saves."""
    return rank() == 0


def launcher() -> str:
    """Return what stands before the script's name on the command line that started this."""
    return f"torchrun --nproc-per-node {os.environ['LOCAL_WORLD_SIZE']}" if _together() else "python"


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun has started, for the length of a ``with`` block.

    All but the first are silent on standard output. Signals are heeded only until a process begins to end:
    torchrun sends them to each as soon as one has ended.

    Yields
    ------
    None
        CPU tensors go from process to process by gloo, CUDA tensors by NCCL.
    """
    global _store
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    from torch.distributed.rendezvous import rendezvous  # not in a PyTorch that was built for one process

    store, number, count = next(rendezvous("env://", timeout=PATIENCE))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
    _store = store
    with ExitStack() as stack:
        stack.callback(_leave)
        for wish in (signal.SIGINT, signal.SIGTERM):
            signal.signal(wish, _interrupt)
            stack.callback(signal.signal, wish, signal.SIG_IGN)  # after the block there is only the exit
        if not is_first():
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        yield


def data_parallel(model: Module) -> Module:
    """Have all processes train a model together.

    Parameters
    ----------
    model : Module
        Inputs (N, ...) to outputs (N, ...), each row for itself; the same in every process.

    Returns
    -------
    Module
        Takes and returns the rows of a whole batch, and leaves the gradients of a loss of them all with the
        model's parameters. In a process alone: the model itself.
    """
    return ByRows(DistributedDataParallel(model)) if _together() else model


def by_rows(model: Module) -> Module:
    """Have all processes evaluate a model together: ``data_parallel`` without its gradients."""
    return ByRows(model) if _together() else model


class ByRows(Module):
    """A network of whose batch each process computes its own rows, and gets everybody's.

    Parameters
    ----------
    network : Module
        Inputs (N, ...) to outputs (N, ...). If it is trained, a DistributedDataParallel.
    """

    def __init__(self, network: Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (N, ...) of all the inputs (N, ...)."""
        own = own_rows(len(inputs), rank(), size())
        return GatherRows.apply(self.network(inputs[own]), len(inputs))


def own_rows(rows: int, rank: int, size: int) -> slice:
    """Return which of a batch's rows are one process's: as many for each, but fewer or none for the last."""
    each = -(-rows // size)  # rounded up
    return slice(min(rank * each, rows), min((rank + 1) * each, rows))


class GatherRows(torch.autograd.Function):
    """Put the rows of all R processes together.

    Forward     y is x_0, under it x_1, and so on to x_{R-1}
    Backward    G = ∂L/∂y is the upstream gradient, the same in every process, since each computes the same
                loss of the same rows. ∂L/∂x_r are G's rows of process r: nothing need be sent.
                ∂L/∂W is then the sum of what the processes find for their rows. DistributedDataParallel takes
                the mean over the processes, so each hands down R times its rows.
    """

    @staticmethod
    def forward(input: Tensor, rows: int) -> Tensor:
        """Send this process's rows (n, ...) to all, and return everybody's (N, ...)."""
        each = own_rows(rows, 0, size()).stop  # nobody has more than the first
        padded = input.new_zeros(each, *input.shape[1:])  # every process must send equally many
        padded[: len(input)] = input
        gathered = input.new_empty(each * size(), *input.shape[1:])
        dist.all_gather_into_tensor(gathered, padded)
        return gathered[:rows]  # only the last processes have fewer rows, so the padding is at the end

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        """Keep N."""
        _, ctx.rows = inputs

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        """Return R times this process's rows."""
        return grad_output[own_rows(ctx.rows, rank(), size())] * size(), None  # (N, ...) -> (n, ...)


def anyone(wish: bool) -> bool:
    """Return whether any process has a wish. All must ask, and all get the same answer."""
    if not _together():
        return wish
    wishes = torch.tensor(int(wish))
    dist.all_reduce(wishes, dist.ReduceOp.MAX)
    return bool(wishes)


def from_first(make: Callable[[], Thing]) -> Thing:
    """Have the first process make something, and give it to all.

    Parameters
    ----------
    make : callable
        Called in the first process alone. What it returns can be pickled.

    Returns
    -------
    Thing
        What it returned, in every process.

    Raises
    ------
    Exception
        What it raised, in every process.
    """
    if not _together():
        return make()
    made: list[Any] = [None, None]
    if is_first():
        try:
            made[0] = make()
        except (Exception, SystemExit) as problem:
            made[1] = problem
    dist.broadcast_object_list(made, src=0)
    if made[1] is not None:
        raise made[1]
    return made[0]


@contextmanager
def one_before_the_others() -> Iterator[None]:
    """On each machine, have one process go through a ``with`` block before the others: to fetch data, say."""
    if local_rank() > 0:
        anyone(False)
    yield
    if local_rank() == 0:
        anyone(False)


def has_lost_another(problem: Exception) -> bool:
    """Return whether this came up because another process is gone."""
    return _together() and (isinstance(problem, dist.DistError) or "gloo" in str(problem))


def first_to_tell() -> bool:
    """Return True to the process that asks first, so that what ends them all is told once."""
    try:
        return _store is None or _store.add("told", 1) == 1
    except RuntimeError:  # the store was in the process, or on the machine, that is gone
        return True


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def _leave() -> None:
    global _store
    _store = None
    dist.destroy_process_group()
    # DistributedDataParallel is part of a reference cycle, and has gloo's threads: left to the end of the
    # interpreter, they would now and then abort it.
    gc.collect()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Do what Python does on Ctrl-C, unless this process is ending already."""
    if sys.exception() is None:
        raise KeyboardInterrupt
