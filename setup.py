"""Installs the package with pip; colcon does not read this file but CMakeLists.txt.

Besides the Python code go the files that ROS looks up by package name. Messages that
`make setup` has built are taken along.
"""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

NAME = "centernet_ros"
ROOT = Path(__file__).parent
INTERFACES = ROOT / "build" / "interfaces" / NAME


class BuildWithMessages(build_py):
    """Adds the generated messages to the package."""

    def run(self) -> None:
        super().run()
        if INTERFACES.is_dir() and not self.editable_mode:
            left_out = ignore_patterns("types", "fingerprint", "__pycache__")
            copytree(INTERFACES, Path(self.build_lib) / NAME, ignore=left_out, dirs_exist_ok=True)


def tree(folder: str, destination: str) -> list[tuple[str, list[str]]]:
    """All files of a folder with the folders that they are installed in."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            relative = path.relative_to(ROOT)
            files.setdefault(f"{destination}/{relative.parent}", []).append(str(relative))
    return list(files.items())


INDEX = "share/ament_index/resource_index"
setup(
    name=NAME,
    version="0.1.0",
    description="CenterNet (Objects as Points): 2D boxes, 3D boxes and human poses from a camera",
    license="Apache-2.0",
    maintainer="centernet_ros maintainers",
    maintainer_email="maintainers@centernet-ros.org",
    python_requires=">=3.10",
    # training/ and demo/ are used from a checkout or through ROS; at the top level they would clash
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=[
        "numpy",
        "opencv-python-headless<5",
        "pyyaml",
        "rosbags",
        "safetensors",
        "torch",
        "torchvision",
        "tqdm",
    ],
    extras_require={
        "executors": [
            "onnx",
            "onnxruntime; python_version >= '3.11'",
            "onnxscript",
            "openvino",
        ],
        "training": ["pycocotools"],
    },
    entry_points={"console_scripts": ["centernet_node = centernet_ros.ros.main:main"]},
    cmdclass={"build_py": BuildWithMessages},
    data_files=[
        (f"{INDEX}/packages", ["standalone/ament_index/centernet_ros"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"lib/{NAME}", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("scripts/*"))),
        *(
            entry
            for folder in ("config", "demo", "launch", "msg", "training", "weights")
            for entry in tree(folder, f"share/{NAME}")
        ),
    ],
)
