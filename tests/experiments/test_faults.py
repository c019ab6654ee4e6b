"""What can go wrong around a run, each done for real: it ends in one clear line, and loses nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.experiments.small_mnist import COMMAND

pytestmark = pytest.mark.slow  # a process each, or two

ROOT = Path(__file__).parents[2]


def start(*argv, wrap=()):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*wrap, *COMMAND, *map(str, argv)], cwd=ROOT, **pipes)


@pytest.fixture(scope="module")
def on_a_small_disk():
    """Return a command that runs another one with a disk of its own, of 9 MB, mounted at a folder."""
    mount = 'mount -t tmpfs -o size=9m small "$0" && mkdir "$0/runs" && mount -o "remount,$1" "$0" && shift'
    command = ["unshare", "-rm", "sh", "-c", mount + ' && exec "$@"']
    if shutil.which("unshare") is None or subprocess.run([*command, "/mnt", "rw", "true"]).returncode:
        pytest.skip("needs Linux, and the right to mount a disk in a namespace")
    return lambda folder, how: [*command, str(folder), how]


def test_a_full_disk(tmp_path, on_a_small_disk):
    # There is room for best.pt and one last.pt of 7 MB, not for the second, which is to take its place. The
    # disk ends with the command, so the command itself has to say what was on it.
    listing = ["sh", "-c", '"$@"; echo $?; find "$0" -name "*.p*t*"', tmp_path]
    command = [*on_a_small_disk(tmp_path, "rw"), *listing]
    run = start("--runs-dir", tmp_path / "runs", wrap=map(str, command))
    out, complaint = run.communicate()
    *_, status, best, last = out.splitlines()
    assert status == "1"
    best, last = sorted([best, last])
    folder = Path(last).parents[1]
    assert [best, last] == [f"{folder}/checkpoints/{kind}.pt" for kind in ("best", "last")]  # and no .part
    line, resume = complaint.splitlines()[-2:]  # TensorBoard's own thread may be the first to find no room
    assert line.startswith("mnist: error: ")
    assert "No space left on device" in line
    assert resume.startswith("to resume: python ")
    assert resume.endswith(f"--resume {folder}")


def test_a_read_only_folder(tmp_path, on_a_small_disk):
    run = start("--runs-dir", tmp_path / "runs", wrap=on_a_small_disk(tmp_path, "ro"))
    out, complaint = run.communicate()
    assert (run.returncode, out) == (1, "")
    assert complaint == f"mnist: error: {tmp_path}/runs/mnist: Read-only file system\n"
