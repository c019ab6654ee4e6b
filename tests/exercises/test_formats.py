"""What other systems read, against what they publish."""

import json
import subprocess
import zipfile

import pytest

from experiments import exercises
from manualgrad.exercises.course import find
from manualgrad.exercises.stub import solved
from tests.exercises.attempts import attempt

# https://gradescope-autograders.readthedocs.io/en/latest/specs/
GRADESCOPE = {"score": int, "execution_time": int, "tests": list}
GRADESCOPE_TEST = dict.fromkeys(("name", "status", "output", "visibility"), str)
GRADESCOPE_TEST |= {"score": int, "max_score": int}

# https://github.com/foundation50/classroom50/blob/main/schemas/result-v1.schema.json
CLASSROOM50 = {
    **dict.fromkeys(("schema", "classroom", "assignment", "assignment_type", "owner", "submission"), str),
    **dict.fromkeys(("commit", "release", "review", "datetime"), str),
    "score": int,
    "max-score": int,
    "tests": list,
}
CLASSROOM50_TEST = {"test-name": str, "passed": bool, "score": int, "max-score": int, "output": str}
RUNNER = {
    "CLASSROOM": "calculus",
    "ASSIGNMENT": "first",
    "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
    "COMMIT_URL": "commit",
    "RELEASE_URL": "release",
    "OWNER": "ada",
}


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "exp.py").write_text(solved(find("exp")))
    (folder / "linear.py").write_text(attempt("linear", "grad_input = grad_output @ weight"))
    return folder


def types(content):
    return {key: type(value) for key, value in content.items()}


def test_gradescope(submission, tmp_path):
    out = tmp_path / "results.json"
    assert exercises.main(["grade", str(submission), "--gradescope", str(out)]) == 0
    results = json.loads(out.read_text())
    assert types(results) == GRADESCOPE
    assert all(types(test) == GRADESCOPE_TEST for test in results["tests"])
    assert [(t["name"], t["score"], t["max_score"], t["status"]) for t in results["tests"]] == [
        ("exp", 1, 1, "passed"),
        ("linear", 1, 4, "failed"),
    ]
    assert results["score"] == 2
    assert "missing-gradient" in results["tests"][1]["output"]
    assert {test["visibility"] for test in results["tests"]} == {"visible"}


def test_classroom50(submission, tmp_path, monkeypatch, capsys):
    out = tmp_path / "result.json"
    command = ["grade", str(submission), "--classroom50", str(out), "--exercises", "exp", "linear"]
    assert exercises.main(command) == 1
    assert "Classroom 50's runner, which sets CLASSROOM" in capsys.readouterr().err
    for name, value in RUNNER.items():
        monkeypatch.setenv(name, value)
    assert exercises.main(command) == 0
    result = json.loads(out.read_text())
    assert types(result) == CLASSROOM50
    assert all(types(test) == CLASSROOM50_TEST for test in result["tests"])
    assert result["schema"] == "classroom50/result/v1"
    assert (result["owner"], result["assignment_type"], result["review"]) == ("ada", "individual", "commit")
    assert (result["score"], result["max-score"]) == (2, 5)
    assert [test["passed"] for test in result["tests"]] == [True, False]


def test_the_autograders_run_the_command(tmp_path, capsys):
    archive, script = tmp_path / "autograder.zip", tmp_path / "autograder.py"
    for path in (archive, script):
        assert exercises.main(["autograder", str(path), "--exercises", "exp", "linear"]) == 0
    with zipfile.ZipFile(archive) as opened:
        assert sorted(opened.namelist()) == ["run_autograder", "setup.sh"], "at the root, by these names"
        for entry in opened.infolist():
            text = opened.read(entry).decode()
            assert entry.external_attr >> 16 & 0o111, "can be executed"
            assert text.startswith("#!/usr/bin/env bash\n")
            subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert (
            "/autograder/results/results.json --exercises exp linear"
            in opened.read("run_autograder").decode()
        )
    compile(script.read_text(), "autograder.py", "exec")
    assert "--classroom50 result.json --exercises exp linear" in script.read_text()
    assert exercises.main(["autograder", str(tmp_path / "x.tar"), "--exercises", "exp"]) == 1
    assert ".zip (Gradescope) or .py (Classroom 50)" in capsys.readouterr().err


def test_a_verdict_as_json(submission, capsys):
    assert exercises.main(["check", "linear", "--dir", str(submission), "--json"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["exercise"], verdict["steps"], verdict["steps_done"]) == ("linear", 4, 1)
    assert (verdict["passed"], verdict["kind"]) == (False, "missing-gradient")
