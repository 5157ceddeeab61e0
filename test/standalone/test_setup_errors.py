"""What is missing on a machine is said in one line with the command that installs it."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from standalone import setup_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A checkout that was never set up."""
    folder = tmp_path / "checkout"
    for name in ("standalone", "msg"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def make(checkout, tools, *arguments, **variables):
    """`make setup` on a machine that has these tools only."""
    programs = checkout.parent / "bin"
    programs.mkdir()
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    for tool in tools:
        target = base if tool.startswith("python") else shutil.which(tool)
        (programs / tool).symlink_to(target)
    result = subprocess.run(
        [shutil.which("make"), "setup", *arguments],
        cwd=checkout,
        env={"PATH": str(programs), "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    said = (result.stdout + result.stderr).splitlines()
    (line,) = [text for text in said if not text.startswith("make: *** ")]
    assert line.startswith("error: ")
    assert not (checkout / ".venv").exists()
    return line


def test_no_compiler(checkout):
    line = make(checkout, ["sh", "python3"])
    assert "compiler" in line
    assert line.endswith("sudo apt install g++")


def test_no_python(checkout):
    assert "sudo apt install python3 python3-venv python3-dev" in make(checkout, ["sh"])


@pytest.mark.parametrize("python", ["/nowhere/python3", "/bin/false"])
def test_named_python_does_not_fit(checkout, python):
    line = make(checkout, ["sh", "python3"], f"PYTHON={python}")
    assert python in line
    assert "sudo apt install python3.12" in line


def test_distribution_without_rclpy(checkout):
    sourced = {"AMENT_PREFIX_PATH": "/opt/ros/noexist", "ROS_DISTRO": "noexist"}
    # The machine's own /usr/bin/python3 is tried as well; no machine has this distribution.
    line = make(checkout, ["sh", "python3"], "PYTHON=python3", **sourced)
    assert "sudo apt install ros-noexist-rclpy" in line


def call_main(monkeypatch, capsys, stamp, *arguments):
    monkeypatch.setattr(sys, "argv", ["setup", "--stamp", str(stamp), *arguments])
    status = setup_environment.main()
    return status, capsys.readouterr().err.splitlines()


def test_no_headers(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name, **_: str(tmp_path / name))
    status, said = call_main(monkeypatch, capsys, tmp_path / "stamp")
    assert status == 1
    (line,) = said
    assert "Python.h" in line
    assert line.endswith(f"sudo apt install python3.{sys.version_info.minor}-dev")


def test_no_packages_for_this_processor(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    status, said = call_main(monkeypatch, capsys, tmp_path / "stamp")
    assert status == 1
    (line,) = said
    assert "this is Linux on aarch64: install a ROS 2 distribution, source its setup.bash" in line


def test_no_venv_module(monkeypatch, capsys, tmp_path):
    find_spec = importlib.util.find_spec
    without = {"ensurepip"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in without else find_spec(name)
    )
    status, said = call_main(monkeypatch, capsys, tmp_path / "stamp")
    assert status == 1
    assert said[0].endswith(f"sudo apt install python3.{sys.version_info.minor}-venv")


def test_distribution_lacks_packages(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = ("--distribution", "jazzy")
    status, said = call_main(monkeypatch, capsys, tmp_path / "stamp", *arguments)
    assert status == 1
    (line,) = said
    assert "sudo apt install ros-jazzy-rclpy" in line
    assert "ros-jazzy-cv-bridge" in line
    assert line.count("ros-jazzy-rosidl-default-generators") == 1


def test_pip_fails(monkeypatch, capsys, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for torch'\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(setup_environment, "venv_python", lambda: python)
    monkeypatch.setattr(setup_environment, "LOG", tmp_path / "build" / "pip.log")
    monkeypatch.setattr(setup_environment, "make_venv", lambda system_packages: None)
    stamp = tmp_path / "stamp"
    status, said = call_main(monkeypatch, capsys, stamp)
    assert status == 1
    (line,) = said
    assert "No matching distribution found for torch" in line
    assert not stamp.exists()
