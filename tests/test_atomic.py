import resource

import pytest

from manualgrad.atomic import write_atomically


def test_written_and_written_over(tmp_path):
    path = tmp_path / "figures.json"
    for content in (b"first", b"second"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "figures.json"
    write_atomically(path, b"first")
    limit, hardest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hardest))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomically(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hardest))
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
