"""Child processes end with the block, and with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from centernet_ros.ros.processes import child_process

ROOT = Path(__file__).parents[2]
SLEEP = ["sleep", "600"]
STARTER = """
import os, sys, time
from pathlib import Path
from centernet_ros.ros.processes import child_process
with child_process(["sleep", "600"], os.environ, Path(sys.argv[1])) as child:
    print(child.process.pid, flush=True)
    time.sleep(600)
"""


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid, seconds=10.0):
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(pid)


def test_the_end_of_the_block_ends_the_process(tmp_path):
    with child_process(SLEEP, os.environ, tmp_path / "log") as child:
        assert child.process.poll() is None

    assert not is_alive(child.process.pid)


def test_an_error_in_the_block_ends_it_too(tmp_path):
    with (
        pytest.raises(RuntimeError, match="in the block"),
        child_process(SLEEP, os.environ, tmp_path / "log") as child,
    ):
        raise RuntimeError("in the block")

    assert not is_alive(child.process.pid)


def test_a_killed_starter_takes_its_process_along(tmp_path):
    command = [sys.executable, "-c", STARTER, str(tmp_path / "log")]
    starter = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.send_signal(signal.SIGKILL)
        starter.wait()

        assert wait_for_end(pid)
    finally:
        starter.kill()
        starter.stdout.close()


def test_what_is_printed_and_the_exit_status_are_the_commands_own(tmp_path):
    command = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "a b", "-c"]
    with child_process(command, os.environ, tmp_path / "log") as child:
        assert child.process.wait(10) == 3

    assert child.output == "['a b', '-c']\n"
