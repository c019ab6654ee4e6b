"""`grade`: many submissions, whatever is in them."""

import csv
import os

import pytest

from experiments import exercises
from manualgrad.exercises.course import find
from tests.exercises.attempts import attempt, solved, stub
from tests.exercises.test_hostile import HOSTILE

RIGHT = solved(find("exp"))
WRONG = attempt("exp", "grad_input = -grad_output * output")
LIMIT = ("--time-limit", "1")


def hand_in(folder, **files):
    for name, text in files.items():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.py"
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def grade(tmp_path, capsys):
    """Grade the folder `in`, and return status, rows and messages."""

    def grade(*options, out="grades.csv"):
        status = exercises.main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / out), *options])
        captured = capsys.readouterr()
        rows = read(tmp_path / out) if status == 0 else []
        return status, rows, captured.out + captured.err

    return grade


def test_points_kinds_and_messages(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada" / "my-backwards", exp=RIGHT)
    hand_in(tmp_path / "in" / "ben", exp=WRONG, linear=attempt("linear", "grad_input = grad_output @ weight"))
    hand_in(tmp_path / "in" / "eve", exp=stub("exp"))
    status, rows, out = grade()
    assert status == 0
    assert [
        (row["submission"], row["exercise"], row["points"], row["out_of"], row["kind"]) for row in rows
    ] == [
        ("ada", "exp", "1", "1", ""),
        ("ada", "linear", "0", "4", "not-submitted"),
        ("ben", "exp", "0", "1", "sign"),
        ("ben", "linear", "1", "4", "missing-gradient"),
        ("eve", "exp", "0", "1", "not-written"),
        ("eve", "linear", "0", "4", "not-submitted"),
    ]
    assert rows[0]["passed"] == "True"
    assert float(rows[0]["seconds"]) > 0
    assert "\n" not in rows[2]["message"]
    assert "3 submissions" in out


@pytest.mark.slow
def test_hostile_submissions_are_named_and_stop_nothing(tmp_path, grade):
    """And the order and the verdicts do not depend on which check is ready first."""
    chosen = ["endless loop", "os._exit", "abort", "syntax", "print flood", "fork bomb", "memory of tensors"]
    for name in chosen:
        hand_in(tmp_path / "in" / name, exp=HOSTILE[name][0])
    for number in range(6):
        hand_in(tmp_path / "in" / f"student {number}", exp=RIGHT if number % 2 else WRONG)
    status, rows, _ = grade(*LIMIT, "--jobs", "3")
    assert status == 0
    verdicts = {row["submission"]: row["kind"] for row in rows}
    assert {name: verdicts[name] for name in chosen} == {name: HOSTILE[name][1] for name in chosen}
    assert [verdicts[f"student {number}"] for number in range(6)] == ["sign", ""] * 3
    assert [row["submission"] for row in rows] == sorted(verdicts)

    _, again, _ = grade(*LIMIT, "--jobs", "1", out="again.csv")
    for row in [*rows, *again]:
        row.pop("seconds")
    assert rows == again


def test_only_the_chosen_exercises(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada", exp=RIGHT, sin=stub("sin"))
    _, rows, _ = grade("--exercises", "exp", "--jobs", "1")
    assert [row["exercise"] for row in rows] == ["exp"]


def test_strange_files(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada", exp="x" * (2**20 + 1), sin=WRONG)
    hand_in(tmp_path / "in" / "ben" / "deep" / "er", exp=WRONG)
    hand_in(tmp_path / "in" / "ben" / "a", exp=RIGHT)
    (tmp_path / "in" / "eve" / "exp.py").mkdir(parents=True)
    os.mkfifo(tmp_path / "in" / "eve" / "sin.py")
    (tmp_path / "in" / "zoe").mkdir()
    (tmp_path / "in" / "zoe" / "exp.py").symlink_to(tmp_path / "in" / "ben" / "a" / "exp.py")
    (tmp_path / "in" / "notes.txt").write_text("not a submission")
    _, rows, _ = grade("--exercises", "exp", "--jobs", "1")
    assert [(row["submission"], row["kind"]) for row in rows] == [
        ("ada", "too-large"),
        ("ben", ""),
        ("eve", "not-submitted"),
        ("zoe", "not-submitted"),
    ]


def test_an_earlier_grading_is_not_overwritten(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada", exp=RIGHT)
    (tmp_path / "grades.csv").write_text("mine")
    status, _, out = grade()
    assert status == 1
    assert "grades.csv exists; --force replaces it" in out
    assert (tmp_path / "grades.csv").read_text() == "mine"
    assert grade("--force", "--jobs", "1")[0] == 0


@pytest.mark.parametrize(
    ("folder", "out", "message"),
    [
        ("none", "grades.csv", "no such folder"),
        ("empty", "grades.csv", "no submissions"),
        ("in", "grades.csv", "no file in it has the name of an exercise"),
        ("in", "none/grades.csv", "No such file or directory"),
    ],
)
def test_problems_are_one_line(folder, out, message, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    hand_in(tmp_path / "in" / "ada", **({"exp": RIGHT} if "none" in out else {"other": ""}))
    assert exercises.main(["grade", str(tmp_path / folder), "--out", str(tmp_path / out)]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
