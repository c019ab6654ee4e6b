"""The student's session: progress survives, and nothing is overwritten."""

import pytest

from manualgrad.errors import UserError
from manualgrad.exercises.course import find
from manualgrad.exercises.session import PROGRESS, Session
from manualgrad.exercises.verdict import Verdict

EXP = find("exp")
RIGHT, WRONG = Verdict(passed=True, steps_done=1), Verdict()


def test_starting_writes_the_file_once_beside_what_is_there(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    session = Session(tmp_path)
    file = session.write(EXP)
    first = file.read_text()
    with pytest.raises(UserError, match="left as it is"):
        session.write(EXP)
    assert file.read_text() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp.py", "notes.txt", "progress.json"]


def test_progress_survives(tmp_path):
    session = Session(tmp_path)
    session.note_check(EXP, WRONG)
    session.note(EXP, hints=2)
    session.note_check(EXP, RIGHT)
    session.note_check(EXP, WRONG)
    progress = Session(tmp_path).progress(EXP)
    assert (progress.checks, progress.hints, progress.steps_done) == (3, 2, 0)
    assert progress.passed, "what has passed once stays passed"


def test_two_terminals_do_not_undo_one_another(tmp_path):
    one, other = Session(tmp_path), Session(tmp_path)
    one.note(EXP, hints=1)
    other.note_check(find("sin"), RIGHT)
    one.note_check(EXP, WRONG)
    both = Session(tmp_path)
    assert both.progress(EXP).hints == both.progress(EXP).checks == 1
    assert both.progress(find("sin")).passed


def test_a_reset_keeps_every_old_file(tmp_path):
    session = Session(tmp_path)
    session.write(EXP)
    for text in ("first", "second"):
        session.file(EXP).write_text(text)
        session.note_check(EXP, RIGHT)
        session.reset(EXP)
    assert (tmp_path / "exp.old-1.py").read_text() == "first"
    assert (tmp_path / "exp.old-2.py").read_text() == "second"
    assert not Session(tmp_path).progress(EXP).passed


def test_broken_progress_is_left_alone(tmp_path):
    file = tmp_path / PROGRESS
    for content in ("{", "[]", '{"exp": 3}', '{"exp": {"unknown": 1}}'):
        file.write_text(content)
        with pytest.raises(UserError, match="cannot be read"):
            Session(tmp_path).note(EXP, hints=1)
        assert file.read_text() == content
