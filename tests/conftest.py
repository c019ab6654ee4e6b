"""Settings for all tests."""

import signal

import pytest
import torch

from tests.training import together


def pytest_configure(config):
    # PyTorch's own: it comes with the first use of forward mode.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script:FutureWarning")
    # Small tensors everywhere: a second thread mostly waits for the first.
    torch.set_num_threads(1)
    # What a shell starts in the background ignores Ctrl-C, and so would every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def processes():
    """Two processes, started once; a test runs a function in one or both of them."""
    with together.processes(2) as run:
        yield run


@pytest.fixture(autouse=True)
def denormals_stay():
    """Undo what scripts set for their whole process: flushing would hide the smallest numbers."""
    yield
    torch.set_flush_denormal(False)
