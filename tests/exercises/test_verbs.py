"""Every verb, as it is typed."""

import subprocess
import sys

import pytest

from experiments import exercises
from manualgrad.exercises.cli import VERBS
from manualgrad.exercises.course import COURSE, find
from manualgrad.exercises.exercise import PACKAGE
from manualgrad.exercises.session import Session
from manualgrad.exercises.stub import hints
from manualgrad.exercises.verdict import Verdict
from tests.exercises.attempts import attempt


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A student's place of work: an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my-backwards"


@pytest.fixture
def type_in(capsys):
    """Type a command; what it prints, on either channel, and its status."""

    def type_in(*words):
        try:
            status = exercises.main(list(words))
        except SystemExit as ending:
            status = ending.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return type_in


def test_list_shows_the_chapters_the_current_one_and_what_is_next(folder, type_in, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = type_in("list")
    assert (status, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert len(lines) < 24
    assert lines[:2] == [
        "→ One number at a time: 0 of 6",
        "  → square          y = x²: power, with the exponent 2",
    ]
    assert "  Activations: 0 of 9" in lines
    assert f"0 of {len(COURSE)} done, in my-backwards" in out
    assert lines[-1].endswith("experiments/exercises.py start square")
    assert lines[-1].startswith("next: python ")
    every = type_in("list", "--all")[1]
    for exercise in COURSE:
        assert f"\n    {exercise.name}  " in every or exercise.name == "square"
    assert not folder.exists(), "looking changes nothing"


def test_start_writes_the_next_exercise_or_the_named_one_here_or_there(folder, type_in):
    status, out, _ = type_in("start")
    assert status == 0
    assert "my-backwards/square.py is yours" in out
    assert type_in("start", "linear")[0] == 0
    assert {file.name for file in folder.glob("*.py")} == {"square.py", "linear.py"}
    status, out, _ = type_in("start", "exp", "--dir", "my other place")
    assert status == 0
    assert "check exp --dir 'my other place'" in out
    text = (folder.parent / "my other place" / "exp.py").read_text()
    assert "exercises.py check exp --dir 'my other place'" in text


def test_check_says_what_is_wrong_then_moves_on(folder, type_in):
    type_in("start")
    status, out, _ = type_in("check")
    assert status == 1
    assert "not-written: backward is not written yet" in out
    (folder / "square.py").write_text(attempt("square", "grad_input = -2 * input * grad_output"))
    status, out, _ = type_in("check")
    assert status == 1
    assert "sign" in out
    (folder / "square.py").write_text(attempt("square", "grad_input = 2 * input * grad_output"))
    status, out, _ = type_in("check", "square")
    assert status == 0
    assert "✓ square is right" in out
    assert out.endswith("experiments/exercises.py start power\n")
    assert "✓ square  " in type_in("list")[1]


def test_a_file_may_be_named_and_one_may_stand_in_the_folder(folder, type_in, monkeypatch):
    type_in("start", "exp")
    (folder / "exp.py").write_text(attempt("exp", "grad_input = grad_output * output"))
    status, out, _ = type_in("check", "my-backwards/exp.py")
    assert status == 0
    assert "exercises.py solution exp\n" in out
    monkeypatch.chdir(folder)
    assert type_in("check", "exp")[0] == type_in("check", "exp.py")[0] == 0
    assert "exp.py is there already" in type_in("start", "exp")[2]
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "exp.py").write_text(attempt("exp", "grad_input = grad_output * output"))
    assert type_in("check", "exp.py")[0] == 0


def test_check_of_several_steps(folder, type_in):
    type_in("start", "linear")
    (folder / "linear.py").write_text(attempt("linear", "grad_input = grad_output @ weight"))
    _, out, _ = type_in("check", "linear")
    assert "✗ linear  1 of 4 steps right; now: the gradient of weight" in out
    assert "1 of 4 steps" in type_in("list", "--all")[1]
    assert "you are at step 2 of 4: the gradient of weight\n" in type_in("hint", "linear")[1]


def test_the_readme_shows_what_is_printed(folder, type_in, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    type_in("start", "mse_loss")
    mean_over_rows = (
        "N = len(input) if ctx.reduction == 'mean' else 1",
        "grad_input = 2 * grad_output * (input - target) / N",
    )
    (folder / "mse_loss.py").write_text(attempt("mse_loss", *mean_over_rows))
    _, out, _ = type_in("check", "mse_loss")
    readme = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- exercise -->")[2].partition("<!-- /exercise -->")[0].split("```")[1]
    printed = [line.rstrip() for line in out.splitlines() if line.strip()]
    assert printed == shown.removeprefix("text\n").splitlines()


def test_check_of_what_was_not_started(folder, type_in):
    status, out, err = type_in("check", "exp")
    assert (status, out) == (1, "")
    assert err.startswith("exercises: error: my-backwards/exp.py: no such file; `python ")
    assert err.endswith("exercises.py start exp` writes it\n")
    assert "start exp --dir mine` writes it" in type_in("check", "exp", "--dir", "mine")[2]


def test_hints_come_one_at_a_time_and_then_all(folder, type_in):
    every = hints(find("sigmoid"))
    for index in range(len(every)):
        status, out, _ = type_in("hint", "sigmoid")
        assert status == 0
        assert f"hint {index + 1} of {len(every)}" in out
        assert f"hint {index + 2} of" not in out
    _, out, _ = type_in("hint", "sigmoid")
    assert "hint 1 of" in out
    assert "There are no more. Here are all" in out
    type_in("start", "sigmoid")
    assert f"Started, hints: {len(every)}. " in type_in("list", "--all")[1]


def test_the_solution_is_shown_after_a_pass_or_when_forced(folder, type_in):
    status, out, err = type_in("solution", "exp")
    assert (status, out) == (1, "")
    assert "--force" in err
    status, out, _ = type_in("solution", "exp", "--force")
    assert status == 0
    assert "grad_output * output" in out
    type_in("start", "exp")
    (folder / "exp.py").write_text(attempt("exp", "grad_input = output * grad_output  # mine"))
    Session(folder).note_check(find("exp"), Verdict(passed=True, steps_done=1))
    _, out, _ = type_in("solution", "exp")
    assert "# mine" in out
    assert "yours" in out
    assert "ours" in out


def test_reset_begins_anew_and_keeps_the_old_file(folder, type_in):
    type_in("start", "exp")
    (folder / "exp.py").write_text("my work")
    status, out, _ = type_in("reset", "exp")
    assert status == 0
    assert "kept as my-backwards/exp.old-1.py" in out
    assert (folder / "exp.old-1.py").read_text() == "my work"
    assert "raise NotImplementedError" in (folder / "exp.py").read_text()
    status, _, err = type_in("reset", "sin")
    assert status == 1
    assert "no such file" in err


def test_a_wrong_argument_is_one_line_and_status_2(folder, type_in):
    for words in (
        *((), ("fly",), ("start", "--no-such"), ("solution",), ("grade", "."), ("list", "extra")),
        *(
            ("grade", ".", "--out", ".", option, text)
            for option, text in (("--jobs", "x"), ("--time-limit", "0"))
        ),
    ):
        status, out, err = type_in(*words)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert "error: " in err
    verbs = "a verb is missing: list, start, check, watch, hint, solution, reset, grade, autograder ("
    assert verbs in type_in()[2]


def test_other_problems_are_one_line_and_status_1(folder, type_in, tmp_path):
    (tmp_path / "file").write_text("")
    for words, message in (
        (("start", "sigmiod"), "did you mean sigmoid"),
        (("start", "exp", "--dir", "file"), "File exists: file"),
        (("start", "exp", "--dir", "file/below"), "Not a directory"),
    ):
        status, out, err = type_in(*words)
        assert (status, out) == (1, "")
        assert err.startswith("exercises: error: ")
        assert err.count("\n") == 1
        assert message in err


def test_help(type_in):
    for verb in VERBS:
        status, out, _ = type_in(verb, "--help")
        assert status == 0
        assert out.startswith("usage: python ")


def test_without_checking_anything_torch_is_not_imported(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from experiments import exercises\n"
        "for words in (['list'], ['start', 'linear'], ['hint', 'linear'], ['solution', 'exp', '--force']):\n"
        "    assert exercises.main(words) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    repository = str(find("exp").page.parents[2])
    subprocess.run([sys.executable, "-c", code, repository], cwd=tmp_path, check=True, capture_output=True)
