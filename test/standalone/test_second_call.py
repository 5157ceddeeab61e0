"""Set-up runs once: again only for what changed, and goes on where it was interrupted."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from standalone import setup_environment

ROOT = Path(__file__).parents[2]


def test_nothing_is_left_to_do():
    start = time.monotonic()
    # -q only asks, so that a test never installs into the environment it runs in.
    asked = subprocess.run(["make", "-q", "setup"], cwd=ROOT, check=False, timeout=30)
    assert asked.returncode == 0, "run the tests through `make test`, which sets up first"
    assert time.monotonic() - start < 5


@pytest.fixture
def setup(monkeypatch, tmp_path):
    """The set-up with its slow parts replaced; returns a function that runs it and tells of pip."""
    calls = []
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    for name in ("requirements.txt", "requirements-ros.txt", "constraints.txt"):
        (requirements / name).write_text(name)
    monkeypatch.setattr(setup_environment, "HERE", requirements)
    monkeypatch.setattr(setup_environment, "LOG", tmp_path / "build" / "pip.log")
    monkeypatch.setattr(setup_environment, "check_machine", lambda: None)
    monkeypatch.setattr(setup_environment, "make_venv", lambda system_packages: None)
    monkeypatch.setattr(setup_environment, "link_checkout", lambda: None)
    monkeypatch.setattr(sys, "argv", ["setup", "--stamp", str(tmp_path / "stamp")])

    def run(error=None):
        def install(distribution):
            calls.append("pip")
            if error:
                raise error

        calls.clear()
        monkeypatch.setattr(setup_environment, "install", install)
        return setup_environment.main(), len(calls)

    return run


def test_pip_runs_for_changed_requirements_only(setup, tmp_path):
    assert setup() == (0, 1)
    assert setup() == (0, 0)
    (tmp_path / "requirements" / "constraints.txt").write_text("changed")
    assert setup() == (0, 1)
    assert setup() == (0, 0)


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (setup_environment.SetupError("no net"), 1)]
)
def test_interrupted_set_up_goes_on(setup, error, status):
    assert setup(error) == (status, 1)
    assert setup() == (0, 1)
    assert setup() == (0, 0)
