"""`grade`: many submissions, whatever is in them."""

import csv
import os
import re
import subprocess
import sys
import time

import pytest

from experiments import exercises
from manualgrad.exercises import grade as grading
from manualgrad.exercises.course import find
from manualgrad.exercises.exercise import PACKAGE
from manualgrad.exercises.stub import solved
from tests.exercises.attempts import attempt, stub
from tests.exercises.test_hostile import HOSTILE, runs

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
    """Grade the folder `in`, and return status, both tables and messages."""

    def grade(*options):
        status = exercises.main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / "out"), *options])
        captured = capsys.readouterr()
        names = [] if status else ["grades.csv", "details.csv"]
        tables = [read(tmp_path / "out" / name) for name in names] or [[], []]
        return status, *tables, captured.out + captured.err

    return grade


def test_points_kinds_and_messages(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada" / "my-backwards", exp=RIGHT)
    hand_in(tmp_path / "in" / "ben", exp=WRONG, linear=attempt("linear", "grad_input = grad_output @ weight"))
    (tmp_path / "in" / "ben" / "progress.json").write_text('{"exp": {"checks": 3}, "linear": {"checks": 4}}')
    hand_in(tmp_path / "in" / "eve", exp=stub("exp"))
    status, students, rows, out = grade()
    assert status == 0
    columns = ("submission", "exercise", "points", "out_of", "kind")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("ada", "exp", "1", "1", ""),
        ("ada", "linear", "0", "4", "not-submitted"),
        ("ben", "exp", "0", "1", "sign"),
        ("ben", "linear", "1", "4", "missing-gradient"),
        ("eve", "exp", "0", "1", "not-written"),
        ("eve", "linear", "0", "4", "not-submitted"),
    ]
    assert float(rows[0]["seconds"]) > 0
    assert "\n" not in rows[2]["message"]
    assert list(students[0]) == ["name", "total", "out_of", "percent", "exp", "linear", "attempts", "look_at"]
    assert [tuple(row.values())[:7] for row in students] == [
        ("ada", "1", "5", "20.0", "1", "0", ""),
        ("ben", "1", "5", "20.0", "0", "1", "7"),
        ("eve", "0", "5", "0.0", "0", "0", ""),
    ]
    told = (tmp_path / "out" / "feedback" / "ben.md").read_text()
    assert told.startswith("# ben: 1 of 5\n\n## exp: 0 of 1\n\n```text\n")
    assert "sign" in told
    assert "3 submissions" in out


HONEST = {"right": RIGHT, "wrong": WRONG, "stub": stub("exp")}

ONE_HOT = "torch.nn.functional.one_hot(torch.tensor(1))"  # of no use, and no cheat
CHEATS = {
    "super": "(output,) = ctx.saved_tensors; grad_input = super(Exp, Exp).backward(ctx, grad_output)",
    "autograd": "x = output.log().detach().requires_grad_(); "
    "grad_input = torch.autograd.grad(torch.exp(x), x, grad_output, create_graph=True)[0]",
    "operator": "grad_input = torch.ops.aten.mul(grad_output, output)",
}


def test_a_solution_that_was_not_derived_is_pointed_out(tmp_path, grade):
    hand_in(tmp_path / "in" / "honest", exp=attempt("exp", ONE_HOT, "grad_input = grad_output * output"))
    hand_in(tmp_path / "in" / "library", exp=RIGHT)
    for name, lines in CHEATS.items():
        hand_in(tmp_path / "in" / name, exp=attempt("exp", *lines.split("; ")))
    _, students, rows, out = grade("--jobs", "1")
    looks = {row["name"]: row["look_at"] for row in students}
    assert looks["honest"] == ""
    assert "torch.autograd.grad takes autograd's gradient" in looks["autograd"]
    assert "torch.ops.aten.mul calls PyTorch's own operators" in looks["operator"]
    assert "manualgrad.functions.exp.Exp.backward uses the package's own functions" in looks["library"]
    assert "look at autograd: exp.py line " in out
    points = {row["submission"]: row["points"] for row in rows}
    assert points["super"] == "0", "the stub's parent has no backward to hand out"
    assert points["honest"] == "1"


ESCAPED = """
import multiprocessing.util
multiprocessing.util.spawnv_passfds(
    b"/usr/bin/setsid", [b"setsid", b"/bin/sh", b"-c", b"sleep 23456 & exec sleep 23457"], []
)
"""

FORGED = """
import os
for n in range(3, 20):
    try:
        os.write(n, b'{"token": "", "result": {"passed": true, "steps_done": 99}}')
    except OSError:
        pass
os._exit(0)
"""

# Reads the number that cannot be guessed from the check's own frames.
FORGED_WITH_NUMBER = """
import json, os, sys
frame = sys._getframe()
while "token" not in frame.f_locals:
    frame = frame.f_back
token = frame.f_locals["token"]
os.write(3, json.dumps({"token": token, "result": {"passed": True, "steps_done": STEPS}}).encode())
os._exit(0)
"""


def test_a_forged_answer_is_refused_or_pointed_out_and_what_is_left_running_ends(tmp_path, grade):
    hand_in(tmp_path / "in" / "blind", exp=FORGED)
    hand_in(tmp_path / "in" / "greedy", exp=FORGED_WITH_NUMBER.replace("STEPS", "99"))
    hand_in(tmp_path / "in" / "careful", exp=FORGED_WITH_NUMBER.replace("STEPS", "1"))
    hand_in(
        tmp_path / "in" / "modest", exp=FORGED_WITH_NUMBER.replace("STEPS", "-9").replace("True", "False")
    )
    hand_in(tmp_path / "in" / "escaped", exp=attempt("exp", "grad_input = grad_output * output") + ESCAPED)
    hand_in(tmp_path / "in" / "honest", exp=attempt("exp", "grad_input = grad_output * output"))
    _, students, rows, _ = grade("--jobs", "1")
    kinds = {row["submission"]: row["kind"] for row in rows}
    assert kinds.pop("greedy") == kinds.pop("modest") == "tampered"
    assert kinds == {"blind": "exit", "careful": "", "escaped": "", "honest": ""}
    looks = {row["name"]: row["look_at"] for row in students}
    assert "sys._getframe reaches into the check" in looks["careful"]
    assert looks["honest"] == ""
    assert not runs("sleep\x0023456"), "in a session of its own"
    assert not runs("sleep\x0023457"), "in a session of its own"


def test_a_pass_that_comes_too_soon_is_pointed_out(tmp_path, grade, monkeypatch):
    hand_in(tmp_path / "in" / "ada", exp=attempt("exp", "grad_input = grad_output * output"))
    assert grade()[1][0]["look_at"] == ""
    monkeypatch.setattr(grading, "shortest_passes", lambda files, limits: {"exp": 1000.0})
    assert "less than a tenth of the time" in grade("--force")[1][0]["look_at"]


def test_the_package_is_watched(tmp_path, grade, monkeypatch):
    hand_in(tmp_path / "in" / "ada", exp=RIGHT)
    digests = iter("ab")
    monkeypatch.setattr(grading, "fingerprint", lambda: next(digests))
    status, _, _, out = grade("--jobs", "1")
    assert status == 1
    assert "the package's own files changed while" in out
    assert not (tmp_path / "out" / "grades.csv").exists()


@pytest.mark.slow
def test_hostile_submissions_are_named_and_change_nothing(tmp_path, grade):
    """Each of them has honest neighbours, and the verdicts do not depend on what is ready first."""
    for name, (text, _, _) in HOSTILE.items():
        hand_in(tmp_path / "in" / name, exp=text)
    neighbours = {f"student {number}": list(HONEST)[number % 3] for number in range(15)}
    for name, which in neighbours.items():
        hand_in(tmp_path / "in" / name, exp=HONEST[which])
    verdicts = []
    for jobs in ("3", "1"):
        status, _, rows, _ = grade(*LIMIT, "--jobs", jobs, "--force")
        assert status == 0
        verdicts.append({row["submission"]: row["kind"] for row in rows})
    assert verdicts[0] == verdicts[1]
    assert {name: verdicts[0][name] for name in HOSTILE} == {
        name: kind for name, (_, kind, _) in HOSTILE.items()
    }
    kinds = {"right": "", "wrong": "sign", "stub": "not-written"}
    assert {name: verdicts[0][name] for name in neighbours} == {n: kinds[w] for n, w in neighbours.items()}


def test_what_was_graded_stands_unless_it_was_cut_or_handed_in_again(tmp_path, grade):
    for number in range(4):
        hand_in(tmp_path / "in" / f"student {number}", exp=RIGHT if number % 2 else WRONG)
    details = tmp_path / "out" / "details.csv"
    before = grade()[2]
    (cut,) = re.findall(rb"student 2,.*?0,exp.py,.", details.read_bytes(), re.DOTALL)
    details.write_bytes(details.read_bytes().partition(cut)[0] + cut)  # within the report
    hand_in(tmp_path / "in" / "student 1", exp=WRONG)
    _, students, rows, printed = grade()
    assert "2 grades of " in printed
    assert [row["exp"] for row in students] == ["0", "0", "0", "1"]
    assert rows[0] == before[0]
    assert [row["submission"] for row in rows] == [f"student {number}" for number in range(4)]


@pytest.mark.slow
def test_a_grading_that_is_killed_goes_on(tmp_path, grade):
    for number in range(6):
        hand_in(tmp_path / "in" / f"student {number}", exp=RIGHT if number % 2 else WRONG)
    out, script = tmp_path / "out", PACKAGE.parent / "experiments" / "exercises.py"
    command = [sys.executable, script, "grade", tmp_path / "in", "--out", out, "--jobs", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    details = out / "details.csv"
    while not details.exists() or details.read_bytes().count(b",exp.py,") < 3:
        time.sleep(0.01)
    running.kill()
    running.communicate()
    assert not (out / "grades.csv").exists()
    _, students, _, printed = grade("--jobs", "1")
    assert " grades of " in printed
    assert [row["exp"] for row in students] == ["0", "1", "0", "1", "0", "1"]


def test_strange_files(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada", exp="x" * (2**20 + 1), sin=WRONG)
    hand_in(tmp_path / "in" / "ben" / "deep" / "er", exp=WRONG)
    hand_in(tmp_path / "in" / "ben" / "a", exp=RIGHT)
    (tmp_path / "in" / "eve" / "exp.py").mkdir(parents=True)
    os.mkfifo(tmp_path / "in" / "eve" / "sin.py")
    (tmp_path / "in" / "zoe").mkdir()
    (tmp_path / "in" / "zoe" / "exp.py").symlink_to(tmp_path / "in" / "ben" / "a" / "exp.py")
    hand_in(tmp_path / "in" / "max", **{"Exp (1)": RIGHT})
    (tmp_path / "in" / "max" / "Exp (1).py").rename(tmp_path / "in" / "max" / "Exp (1).PY")
    hand_in(tmp_path / "in" / "uta", exp=RIGHT.encode("utf-16"))
    (tmp_path / "in" / "notes.txt").write_text("not a submission")
    hand_in(tmp_path / "in" / os.fsdecode(b"\xff"), exp=WRONG)
    _, _, rows, _ = grade("--exercises", "exp", "--jobs", "1")
    assert [(row["submission"], row["kind"], row["file"]) for row in rows] == [
        ("ada", "too-large", "exp.py"),
        ("ben", "", "exp.py"),
        ("eve", "not-submitted", ""),
        ("max", "", "Exp (1).PY"),
        ("uta", "", "exp.py, in UTF-16"),
        ("zoe", "not-submitted", ""),
        ("\\xff", "sign", "exp.py"),
    ]
    assert "1 of 1 (read from Exp (1).PY)" in (tmp_path / "out" / "feedback" / "max.md").read_text()


def test_a_students_record_may_be_anything(tmp_path, grade):
    for record in ('{"exp": {"checks": 1e999}}', "[" * 100_000, "[]", "\0", '{"exp": {"checks": "two"}}'):
        hand_in(tmp_path / "in" / "ada", exp=RIGHT)
        (tmp_path / "in" / "ada" / "progress.json").write_text(record)
        _, students, rows, _ = grade("--force")
        assert (rows[0]["points"], students[0]["attempts"]) == ("1", "")


def test_an_earlier_grading_is_not_overwritten(tmp_path, grade):
    hand_in(tmp_path / "in" / "ada", exp=RIGHT)
    hand_in(tmp_path / "out", grades="")
    (tmp_path / "out" / "grades.py").rename(tmp_path / "out" / "grades.csv")
    status, _, _, out = grade()
    assert status == 1
    assert "grades.csv exists; --force replaces it" in out
    assert (tmp_path / "out" / "grades.csv").read_text() == ""


def test_problems_are_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    hand_in(tmp_path / "others" / "ada", other="")
    hand_in(tmp_path / "in" / "ada", exp=RIGHT)
    for folder, out, message in (
        ("none", "out", "no such folder"),
        ("empty", "out", "no folder in it has a file with the name of an exercise"),
        ("others", "out", "no folder in it has a file"),
        ("in", "none/grades", "No such file or directory"),
    ):
        assert exercises.main(["grade", str(tmp_path / folder), "--out", str(tmp_path / out)]) == 1
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
