"""Runs on one machine never share a ROS domain, and leave no process behind."""

import fcntl
import os
import runpy
import signal
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import MagicMock
from xml.etree import ElementTree

import pytest

from centernet_ros.ros.isolation import (
    DOMAINS,
    isolated_domain,
    profile_unless_set,
    shared_memory_profile,
)
from centernet_ros.ros.processes import child_process


def test_domains_are_held_apart_and_given_back():
    with isolated_domain() as one, isolated_domain() as two:
        held = {one["ROS_DOMAIN_ID"], two["ROS_DOMAIN_ID"]}
        assert len(held) == 2
        assert all(int(domain) in DOMAINS for domain in held)
        assert one["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    for _ in range(len(DOMAINS) + 1):
        with isolated_domain():
            pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for temporary files where another user has left files of all domains."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = [tmp_path / f"centernet_ros-domain-{domain}.lock" for domain in DOMAINS]
    for file in files:
        file.touch()
    return tmp_path


def refuse(monkeypatch, is_refused):
    """Have the system refuse to open files with some flags, as it does to all users but root."""
    really_open = os.open

    def open_or_refuse(path, flags, *arguments):
        if is_refused(flags):
            raise PermissionError(13, "Permission denied", str(path))
        return really_open(path, flags, *arguments)

    monkeypatch.setattr(os, "open", open_or_refuse)


def test_a_file_of_another_user_locks_as_well(folder, monkeypatch):
    writes = os.O_WRONLY | os.O_RDWR
    refuse(monkeypatch, lambda flags: flags & writes or flags & os.O_CREAT)
    with isolated_domain() as one, isolated_domain() as two:
        assert one["ROS_DOMAIN_ID"] != two["ROS_DOMAIN_ID"]


def test_a_file_that_nobody_else_may_read_counts_as_taken(folder, monkeypatch):
    refuse(monkeypatch, lambda flags: True)
    with (
        pytest.raises(RuntimeError, match=r"all ROS domains 1-101 are in use"),
        isolated_domain(),
    ):
        pass


def is_free(file):
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


RESERVE = """
import sys
from centernet_ros.ros.isolation import isolated_domain
with isolated_domain() as environment:
    print(environment["ROS_DOMAIN_ID"], flush=True)
    sys.stdin.read()
"""


def test_other_processes_get_other_domains_and_leave_theirs_when_killed(tmp_path, monkeypatch):
    def domain_of(child):
        return child.wait_for_output(r"\d+", 30)[0]

    # Nobody else takes a domain that is given back here.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # `cat` keeps the reader waiting: without it, standard input ends at once.
    waiting = ["sh", "-c", f"sleep 60 | {sys.executable} -c '{RESERVE}'"]
    with (
        isolated_domain() as mine,
        child_process(waiting, os.environ, tmp_path / "one") as one,
        child_process(waiting, os.environ, tmp_path / "two") as two,
    ):
        domains = {mine["ROS_DOMAIN_ID"], domain_of(one), domain_of(two)}
        assert len(domains) == 3
        file = tmp_path / f"centernet_ros-domain-{domain_of(one)}.lock"
        assert not is_free(file)
        one.send(signal.SIGKILL)
        one.process.wait(30)
        deadline = time.monotonic() + 10
        while not is_free(file):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with isolated_domain() as another:
            assert another["ROS_DOMAIN_ID"] not in {mine["ROS_DOMAIN_ID"], domain_of(two)}


@pytest.mark.parametrize("distribution", ["humble", "jazzy"])
def test_humble_keeps_to_this_machine_by_its_own_variable(distribution, monkeypatch):
    monkeypatch.delenv("ROS_LOCALHOST_ONLY", raising=False)
    monkeypatch.setenv("ROS_DISTRO", distribution)
    with isolated_domain() as environment:
        assert environment.get("ROS_LOCALHOST_ONLY") == ("1" if distribution == "humble" else None)


def test_the_profile_is_asked_for_and_readable(monkeypatch):
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    with isolated_domain(shared_memory=False) as environment:
        assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in environment
    with isolated_domain() as environment:
        path = environment["FASTRTPS_DEFAULT_PROFILES_FILE"]
        assert environment["FASTDDS_DEFAULT_PROFILES_FILE"] == path
    namespace = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"
    (size,) = ElementTree.parse(path).iter(f"{namespace}segment_size")
    assert int(size.text) >= 2 * 1920 * 1080 * 3


def test_a_profile_of_the_users_own_stays(monkeypatch):
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert profile_unless_set() == shared_memory_profile()
    monkeypatch.setenv(names[0], "/home/user/own.xml")
    assert profile_unless_set().keys() == {names[1]}


def test_the_demos_launch_file_leaves_the_users_profile_alone(monkeypatch):
    for name in (
        *("launch", "launch.actions", "launch.launch_description_sources", "launch.substitutions"),
        *("launch_ros", "launch_ros.actions", "launch_ros.parameter_descriptions"),
    ):
        monkeypatch.setitem(sys.modules, name, MagicMock())  # `launch` is not on PyPI
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/home/user/own.xml")
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    path = Path(__file__).parents[2] / "launch" / "demo.launch.py"
    runpy.run_path(str(path))["generate_launch_description"]()
    node = sys.modules["launch_ros.actions"].Node
    assert node.call_args.kwargs["additional_env"].keys() == {"FASTDDS_DEFAULT_PROFILES_FILE"}


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_failure_leaves_no_process_behind(tmp_path):
    # The child and its own child ignore Ctrl-C; the child tells both numbers.
    command = ["sh", "-c", "trap '' INT; sleep 60 & echo $$ $!; wait"]
    numbers = []

    def fail():
        with child_process(command, os.environ, tmp_path / "log", patience=0.2) as child:
            numbers.extend(child.wait_for_output(r"(\d+) (\d+)\n", 10).groups())
            raise RuntimeError("a failing test")

    with pytest.raises(RuntimeError, match="a failing test"):
        fail()
    assert len(numbers) == 2
    deadline = time.monotonic() + 10
    while any(map(is_alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, numbers))


def test_waiting_for_output_ends_with_the_process(tmp_path):
    with child_process(["echo", "hello"], os.environ, tmp_path / "log") as child:
        child.wait_for_output("hello", 10)
        with pytest.raises(TimeoutError, match=r"ended with 0\):\nhello"):
            child.wait_for_output("goodbye", 10)
