"""Real processes for the tests of what several of them do together, with the variables that torchrun sets."""

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch


@contextmanager
def processes(most: int) -> Iterator[Callable[..., list[Any]]]:
    """Start processes. What is yielded runs a function in so many of them and lists what each returned."""
    with ProcessPoolExecutor(most, get_context("spawn")) as pool:

        def together(size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
            # In `join` each process waits for the others, so that none of them takes two of these.
            return list(pool.map(partial(_as_torchrun, size, _free_port(), work, arguments), range(size)))

        yield together


def _as_torchrun(
    size: int, port: int, work: Callable[..., Any], arguments: tuple[Any, ...], rank: int
) -> Any:
    torch.set_num_threads(1)
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size}
    os.environ.update({name: str(number) for name, number in numbers.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    return work(*arguments)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
