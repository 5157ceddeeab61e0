"""The checkout is an ordinary colcon package, and can be installed with pip.

Built with the colcon and the ament of PyPI, in an environment of its own under build/.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
VENV = ROOT / "build" / "colcon_venv"
REQUIREMENTS = (
    ROOT / "standalone" / "requirements-ros.txt",
    HERE / "requirements-colcon.txt",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cmake") is None, reason="colcon needs cmake"),
    pytest.mark.skipif(bool(os.environ.get("DISTRIBUTION")), reason="the distribution has colcon"),
]


def run(*command, cwd=None):
    """Run in the environment of colcon, and of no other."""
    keep = ("HOME", "TMPDIR")
    env = {name: value for name, value in os.environ.items() if name in keep or "PIP" in name}
    env["PATH"] = f"{VENV / 'bin'}:{os.defpath}"
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(VENV)
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="session")
def colcon_environment():
    # Tests that run side by side share it: the second waits, then finds the work done.
    with VENV.with_name("colcon_venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_environment()
    return VENV


def make_environment():
    wanted = "".join(path.read_text() for path in REQUIREMENTS) + sys.version
    stamp = VENV / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    base = getattr(sys, "_base_executable", sys.executable)
    run(base, "-m", "venv", "--clear", VENV)
    files = [part for path in REQUIREMENTS for part in ("-r", path)]
    constraints = ROOT / "standalone" / "constraints.txt"
    run(VENV / "bin/python", "-m", "pip", "install", "-q", *files, "pytest", "-c", constraints)
    stamp.write_text(wanted)


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A workspace with a copy of what git knows of, as after a clone."""
    workspace = tmp_path_factory.mktemp("workspace")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.split("\0"):
        if name and (ROOT / name).is_file():
            target = workspace / "src" / "centernet_ros" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return workspace


@pytest.mark.parametrize("mode", [(), ("--symlink-install",)], ids=["copies", "symlinks"])
def test_colcon(colcon_environment, sources, mode, tmp_path):
    build = [
        colcon_environment / "bin/colcon", "build", *mode,
        "--build-base", tmp_path / "build", "--install-base", tmp_path / "install", "--cmake-args",
        f"-DPython3_EXECUTABLE={colcon_environment}/bin/python",
        f"-DCMAKE_PROJECT_INCLUDE={HERE}/fix_wheel_paths.cmake",
    ]  # fmt: skip
    listed = run(colcon_environment / "bin/colcon", "list", cwd=sources).split()
    # One package: the stand-alone vision_msgs must not hide the distribution's.
    assert listed == ["centernet_ros", "src/centernet_ros", "(ros.ament_cmake)"]
    run(*build, cwd=sources)
    run(*build, cwd=sources)

    prefix = tmp_path / "install" / "centernet_ros"
    for script in ("centernet_node", "detect", "train", "evaluate", "street_camera"):
        assert os.access(prefix / "lib" / "centernet_ros" / script, os.X_OK)
    for installed in (
        *("package.xml", "msg/Timing.msg", "training/__init__.py", "demo/__init__.py"),
        *("launch/centernet.launch.py", "launch/demo.launch.py"),
    ):
        assert (prefix / "share" / "centernet_ros" / installed).is_file()
    code = "import centernet_ros, centernet_ros.msg as m; print(centernet_ros.__doc__, m.__file__)"
    said = run("bash", "-c", f"source {tmp_path}/install/setup.bash && cd / && python -c '{code}'")
    assert str(prefix) in said
    # The own __init__.py lies over the generated, empty one.
    assert "CenterNet" in said


def test_pip(colcon_environment, sources, tmp_path):
    prefix = tmp_path / "prefix"
    package = sources / "src" / "centernet_ros"
    interfaces = Path("build", "interfaces", "centernet_ros")
    shutil.copytree(ROOT / interfaces, package / interfaces)
    run(
        colcon_environment / "bin/python", "-m", "pip", "install", "-q", "--no-deps",
        "--no-build-isolation", "--ignore-installed", "--prefix", prefix, package,
    )  # fmt: skip
    (library,) = prefix.glob("lib/python3*/site-packages/centernet_ros")
    assert (library / "msg" / "_timing.py").is_file()
    assert list(library.glob("centernet_ros_s__rosidl_typesupport_c*.so"))
    assert os.access(prefix / "lib" / "centernet_ros" / "centernet_node", os.X_OK)
    assert (prefix / "bin" / "centernet_node").is_file()
    index = prefix / "share" / "ament_index" / "resource_index" / "packages" / "centernet_ros"
    assert index.is_file()
    for folder in ("training", "demo"):
        assert (prefix / "share" / "centernet_ros" / folder / "__init__.py").is_file()
    code = (
        "from centernet_ros.msg import Timing; Timing.get_fields_and_field_types(); print(Timing)"
    )
    said = run(
        "env",
        f"PYTHONPATH={library.parent}",
        colcon_environment / "bin/python",
        "-c",
        code,
        cwd="/",
    )
    assert "centernet_ros.msg" in said
