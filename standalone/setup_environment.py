"""Makes `.venv`: Python, the packages of requirements*.txt, and a way to the built interfaces.

Called by the Makefile with the interpreter that `.venv` is to be made with. Where a ROS 2
distribution is sourced, `--distribution NAME` takes ROS from it and installs no second one.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
HERE = ROOT / "standalone"
LOG = ROOT / "build" / "pip.log"
NEEDED_GB = 9
# What the project takes from a ROS distribution: module -> what installs it there.
FROM_DISTRIBUTION = {
    "rclpy": "ros-{0}-rclpy",
    "sensor_msgs": "ros-{0}-sensor-msgs",
    "diagnostic_msgs": "ros-{0}-diagnostic-msgs",
    "visualization_msgs": "ros-{0}-visualization-msgs",
    "std_srvs": "ros-{0}-std-srvs",
    "lifecycle_msgs": "ros-{0}-lifecycle-msgs",
    "rosidl_adapter": "ros-{0}-rosidl-default-generators",
    "rosidl_generator_py": "ros-{0}-rosidl-default-generators",
    "rosidl_typesupport_fastrtps_c": "ros-{0}-rosidl-default-generators",
    "cv_bridge": "ros-{0}-cv-bridge",
    "cv2": "python3-opencv",
    "numpy": "python3-numpy",
}

# What a distribution has of its own, and what hangs on its numpy.
UNPINNED = re.compile(r"numpy|opencv|ros-|cv-bridge|ml-dtypes|onnx")


class SetupError(Exception):
    """What is missing, with the command that installs it, in one line."""


def say(text: str) -> None:
    print(text, flush=True)


def check_machine() -> None:
    """Find out now what would stop a compiler or pip minutes later."""
    version = f"python3.{sys.version_info.minor}"
    missing = []
    for variable, names in (("CC", ("cc", "gcc", "clang")), ("CXX", ("c++", "g++", "clang++"))):
        named = shlex.split(os.environ.get(variable, ""))[:1]
        if not any(shutil.which(name) for name in named or names):
            missing.append(("a C++ compiler", "g++"))
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append((f"the headers of {sys.executable} (Python.h)", f"{version}-dev"))
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        missing.append((f"the venv module of {sys.executable}", f"{version}-venv"))
    if missing:
        what = ", ".join(dict.fromkeys(name for name, _ in missing))
        packages = " ".join(dict.fromkeys(package for _, package in missing))
        raise SetupError(f"{what} not found: sudo apt install {packages}")
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB and not VENV.is_dir():
        raise SetupError(
            f"{free:.1f} GB free in {ROOT}, about {NEEDED_GB} GB needed: make room there"
        )


def check_distribution(name: str) -> None:
    """See that the sourced distribution has everything that is taken from it."""
    missing = [
        package.format(name)
        for module, package in FROM_DISTRIBUTION.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        packages = " ".join(dict.fromkeys(missing))
        raise SetupError(f"ROS 2 {name} lacks what is needed: sudo apt install {packages}")


def check_wheels() -> None:
    """See that PyPI's packages of ROS 2 exist for this machine."""
    system, processor = platform.system(), platform.machine()
    if (system, processor) != ("Linux", "x86_64"):
        raise SetupError(
            f"ROS 2 on PyPI is for Linux on x86_64, this is {system} on {processor}: install a "
            "ROS 2 distribution, source its setup.bash, and run make again"
        )


def venv_python() -> Path:
    return VENV / "bin" / "python"


def make_venv(system_packages: bool) -> None:
    """Create `.venv`, or keep the one that is there if it works and is of the right kind."""
    kind = f"include-system-site-packages = {str(system_packages).lower()}"
    version = f"version = {sys.version_info.major}.{sys.version_info.minor}."
    config = VENV / "pyvenv.cfg"
    if config.is_file() and kind in config.read_text() and version in config.read_text():
        works = subprocess.run(
            [venv_python(), "-m", "pip", "--version"], capture_output=True, check=False
        )
        if works.returncode == 0:
            return
    say(f"creating .venv with Python {sys.version.split()[0]} ({sys.executable})")
    # A venv made by the Python of a venv would hang on it.
    base = getattr(sys, "_base_executable", sys.executable)
    command = [
        base,
        "-m",
        "venv",
        "--clear",
        *["--system-site-packages"] * system_packages,
        str(VENV),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = (result.stdout + result.stderr).strip().splitlines() or ["no message"]
        raise SetupError(f"{shlex.join(command)} failed: {lines[-1]}")


def constraints(distribution: str | None) -> Path:
    """The file of constraints for pip.

    A distribution's own numpy stays, as its cv_bridge is built on it. Of what may need a newer one
    pip finds the last version that does not.
    """
    if distribution is None:
        return HERE / "constraints.txt"
    import numpy as np

    lines = (HERE / "constraints.txt").read_text().splitlines()
    kept = [line for line in lines if not UNPINNED.match(line)]
    path = ROOT / "build" / "constraints.txt"
    path.write_text("\n".join([*kept, f"numpy=={np.__version__}", ""]))
    return path


def requirement_files(distribution: str | None) -> list[Path]:
    names = ["requirements.txt"] if distribution else ["requirements.txt", "requirements-ros.txt"]
    return [HERE / name for name in names]


def install(distribution: str | None) -> None:
    """Run pip, show what it fetches, and keep its whole output in `build/pip.log`."""
    say("installing packages: some 3 GB to download, 2 to 15 minutes (all output: build/pip.log)")
    command = [str(venv_python()), "-m", "pip", "install", "--progress-bar", "off"]
    for path in requirement_files(distribution):
        command += ["-r", str(path)]
    command += ["-c", str(constraints(distribution))]
    start, errors = time.monotonic(), []
    with (
        LOG.open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            log.flush()
            if line.startswith("ERROR:"):
                errors.append(line.removeprefix("ERROR:").strip())
            if shown := progress(line):
                say(f"  {time.monotonic() - start:4.0f} s  {shown}")
    if pip.returncode:
        reason = errors[0] if errors else "see its log"
        raise SetupError(f"pip failed ({reason}): look into {LOG}, then call make again")


def progress(line: str) -> str | None:
    """What to show of a line of pip: its last steps, and downloads that take long."""
    line = line.strip()
    if big := re.match(
        r"(?:Downloading|Using cached) ([\w.]+-[\d.]+)\S* \((\d\d+\.\d MB|.* GB)\)", line
    ):
        return f"fetching {big[1]} ({big[2]})"
    steps = ("Installing collected packages", "Successfully installed", "Building wheel")
    return next((step.lower() for step in steps if line.startswith(step)), None)


def link_checkout() -> None:
    """Let Python find the checkout and the interfaces that are built beside it."""
    purelib = sysconfig.get_path("purelib", vars={"base": str(VENV), "platbase": str(VENV)})
    pth = Path(purelib) / "centernet_ros.pth"
    pth.write_text(f"{ROOT}\n{ROOT / 'build' / 'interfaces'}\n")


def fingerprint(distribution: str | None) -> str:
    digest = hashlib.sha256(str(distribution).encode())
    for path in [*requirement_files(distribution), HERE / "constraints.txt"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def set_up(distribution: str | None, stamp: Path) -> None:
    if distribution:
        check_distribution(distribution)
    else:
        check_wheels()
    check_machine()
    LOG.parent.mkdir(exist_ok=True)
    with (LOG.parent / "setup.lock").open("w") as lock:
        # A second make in the same checkout waits, then finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_venv(system_packages=distribution is not None)
        mark = fingerprint(distribution)
        if not stamp.is_file() or stamp.read_text() != mark:
            stamp.unlink(missing_ok=True)
            install(distribution)
        link_checkout()
        # Last, so that an interrupted set-up goes on where it was.
        stamp.write_text(mark)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distribution", help="name of the sourced ROS 2 distribution")
    parser.add_argument("--stamp", type=Path, required=True, help="file to write when all is done")
    arguments = parser.parse_args()
    try:
        set_up(arguments.distribution or None, arguments.stamp)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next make goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
