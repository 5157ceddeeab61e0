"""The wall between the core and ROS: ruff refuses ROS imports everywhere but in a few places."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def banned_imports(path, statement):
    """How many times ruff refuses a file of this text at this place."""
    source = f'"""Probe."""\n\n{statement}\n'
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format=concise", "--no-cache",
         "--select=TID251", f"--stdin-filename={path}", "-"],
        cwd=ROOT, input=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode in (0, 1), result.stderr
    return result.stdout.count("TID251")


@pytest.mark.parametrize(
    "statement",
    [
        "import rclpy",
        "import rclpy.node",
        "from rclpy.node import Node",
        "from vision_msgs.msg import Detection2DArray",
        "from sensor_msgs.msg import Image",
        "from std_msgs.msg import Header",
        "from geometry_msgs.msg import Pose",
        "from diagnostic_msgs.msg import DiagnosticArray",
        "from visualization_msgs.msg import MarkerArray",
        "from cv_bridge import CvBridge",
        "import centernet_ros.msg",
        "from centernet_ros.msg import Timing",
        "from centernet_ros import msg",
    ],
)
@pytest.mark.parametrize("path", ["centernet_ros/stray.py", "training/data/stray.py"])
def test_stray_import_is_refused(path, statement):
    assert banned_imports(path, statement) == 1


@pytest.mark.parametrize(
    "path",
    ["centernet_ros/tasks/pose/task.py", "centernet_ros/models/resnet.py", "standalone/x.py"],
)
def test_rclpy_is_refused_in_every_room(path):
    assert banned_imports(path, "import rclpy") == 1


@pytest.mark.parametrize(
    "path",
    [
        "centernet_ros/ros/node.py",
        "centernet_ros/tasks/detection2d/messages.py",
        "demo/camera.py",
        "launch/centernet.launch.py",
        "test/ros/test_node.py",
    ],
)
def test_ros_may_be_used_behind_the_wall(path):
    assert banned_imports(path, "import rclpy") == 0
