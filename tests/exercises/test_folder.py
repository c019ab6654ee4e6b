"""The student's folder: progress survives, and nothing is overwritten."""

import pytest

from manualgrad.errors import UserError
from manualgrad.exercises.course import find
from manualgrad.exercises.folder import PROGRESS, Folder

EXP = find("exp")


def test_starting_writes_the_file_once_beside_what_is_there(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    folder = Folder(tmp_path)
    file = folder.start(EXP, "first")
    with pytest.raises(UserError, match="left as it is"):
        folder.start(EXP, "second")
    assert file.read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp.py", "notes.txt", "progress.json"]


def test_progress_survives(tmp_path):
    folder = Folder(tmp_path)
    folder.note_check(EXP, False, 0)
    folder.note(EXP, hints=2)
    folder.note_check(EXP, True, 1)
    folder.note_check(EXP, False, 0)
    progress = Folder(tmp_path).progress(EXP)
    assert (progress.checks, progress.hints, progress.steps_done) == (3, 2, 0)
    assert progress.passed, "what has passed once stays passed"


def test_two_terminals_do_not_undo_one_another(tmp_path):
    one, other = Folder(tmp_path), Folder(tmp_path)
    one.note(EXP, hints=1)
    other.note_check(find("sin"), True, 1)
    one.note_check(EXP, False, 0)
    both = Folder(tmp_path)
    assert both.progress(EXP).hints == both.progress(EXP).checks == 1
    assert both.progress(find("sin")).passed


def test_setting_aside_keeps_every_old_file(tmp_path):
    folder = Folder(tmp_path)
    for text in ("first", "second"):
        folder.start(EXP, text)
        folder.note_check(EXP, True, 1)
        folder.set_aside(EXP)
    assert (tmp_path / "exp.old-1.py").read_text() == "first"
    assert (tmp_path / "exp.old-2.py").read_text() == "second"
    assert not Folder(tmp_path).progress(EXP).passed


def test_broken_progress_is_left_alone(tmp_path):
    file = tmp_path / PROGRESS
    for content in ("{", "[]", '{"exp": 3}', '{"exp": {"unknown": 1}}'):
        file.write_text(content)
        with pytest.raises(UserError, match="cannot be read"):
            Folder(tmp_path).note(EXP, hints=1)
        assert file.read_text() == content
