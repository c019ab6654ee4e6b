import numpy as np

from manualgrad.pictures import Artist

COUNTS = {"title": "Which?", "counts": np.eye(10, dtype=int)}


def test_a_picture_is_there_when_it_is_said_to_be(tmp_path):
    done = []
    artist = Artist()
    artist.draw(
        "confusion", tmp_path / "a.png", COUNTS, when_done=lambda path: done.append(path.read_bytes())
    )
    assert artist.finish() == []
    assert done[0].startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_drawn_is_told_and_leaves_no_file(tmp_path):
    done = []
    artist = Artist()
    artist.draw("confusion", tmp_path / "a.png", {"title": "no counts"}, when_done=done.append)
    artist.draw("confusion", tmp_path / "no folder" / "b.png", COUNTS, when_done=done.append)
    artist.draw("confusion", tmp_path / "c.png", COUNTS, when_done=done.append)
    first, second = artist.finish()
    assert first.startswith("a.png could not be drawn: Traceback")
    assert second.startswith("b.png could not be drawn: Traceback")
    assert done == list(tmp_path.iterdir()) == [tmp_path / "c.png"]
