import numpy as np
import pytest

from manualgrad.pictures import draw

COUNTS = {"title": "Which?", "counts": np.eye(10, dtype=int)}


def test_a_picture(tmp_path):
    assert draw("confusion", tmp_path / "a.png", COUNTS) is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told_and_leaves_no_file(tmp_path):
    problem = draw("confusion", tmp_path / "a.png", {"title": "no counts"})
    assert problem.startswith("a.png could not be drawn: Traceback")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        draw("confusion", tmp_path / "no folder" / "a.png", COUNTS)
