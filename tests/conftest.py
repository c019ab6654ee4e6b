"""Settings for all tests."""


def pytest_configure(config):
    # PyTorch's own: it comes with the first use of forward mode.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script:FutureWarning")
