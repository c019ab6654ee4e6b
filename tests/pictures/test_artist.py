import os
import signal

import numpy as np

from manualgrad.pictures import Artist

COUNTS = {"title": "Which?", "counts": np.eye(10, dtype=int)}


def test_pictures_come_in_the_order_in_which_they_were_asked_for(tmp_path):
    artist = Artist()
    done = []
    for name in ("b.png", "a.png", "c.png"):
        artist.draw("confusion", tmp_path / name, COUNTS, when_done=lambda path: done.append(path.name))
    assert artist.finish() == []
    artist.close()
    assert done == ["b.png", "a.png", "c.png"]


def test_a_drawing_process_that_dies_is_told_and_replaced(tmp_path):
    artist = Artist()
    artist.draw("confusion", tmp_path / "a.png", COUNTS)
    artist.finish()
    os.kill(artist._process.pid, signal.SIGKILL)
    artist._process.wait()
    artist.draw("confusion", tmp_path / "b.png", COUNTS)
    artist.draw("confusion", tmp_path / "c.png", COUNTS)
    (problem,) = artist.finish()
    artist.close()
    assert problem == "b.png could not be drawn: the drawing process ended"
    assert (tmp_path / "c.png").exists()


def test_without_pictures_there_is_no_process():
    artist = Artist()
    assert artist.finish() == []
    artist.close()
    assert artist._process is None
