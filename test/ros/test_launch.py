"""The launch file; `launch` comes with ROS distributions only."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from centernet_ros.tasks import TASKS

ROOT = Path(__file__).parents[2]
LAUNCH_FILE = ROOT / "launch" / "centernet.launch.py"
OF_THE_ISSUE = {
    *("task", "weights", "image", "camera_info", "image_transport", "namespace", "rviz"),
    *("use_sim_time", "params_file", "log_level"),
}


def test_it_compiles():
    compile(LAUNCH_FILE.read_text(), LAUNCH_FILE, "exec")


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_a_picture_in_rviz(task):
    content = yaml.safe_load((ROOT / "config" / f"{task}.rviz").read_text())
    displays = content["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert "/centernet/debug_image" in topics
    assert ("/centernet/markers" in topics) == (task == "detection3d")


@pytest.fixture
def launch_file():
    pytest.importorskip("launch_ros", reason="launch is not on PyPI")
    specification = importlib.util.spec_from_file_location("centernet_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def start(launch_file):
    """The actions that the arguments lead to, and their context."""
    from launch import LaunchContext

    def start_with(**given):
        context = LaunchContext()
        values = {name: default for name, (default, _) in launch_file.ARGUMENTS.items()}
        context.launch_configurations.update(values, **given)
        return context, launch_file.start_nodes(context)

    return start_with


def test_arguments_are_described(launch_file):
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert [argument.name for argument in arguments] == list(launch_file.ARGUMENTS)
    assert {argument.name for argument in arguments} == OF_THE_ISSUE
    assert all(argument.description for argument in arguments)


def test_only_what_was_given_reaches_the_node(start):
    _, (node,) = start(weights="mine.safetensors")
    assert node.node_executable == "centernet_node"


def test_a_task_chooses_files_and_rviz_comes_along(start):
    _, nodes = start(task="ddd", rviz="true")
    assert [node.node_executable for node in nodes] == ["centernet_node", "rviz2"]


def test_camera_info_is_looked_for_beside_the_images(launch_file):
    assert launch_file._beside("/front/image_raw", "camera_info") == "/front/camera_info"
    assert launch_file._beside("image", "camera_info") == "camera_info"


def test_an_unknown_task_is_named(start):
    with pytest.raises(ValueError, match="unknown task 'segmentation'; known: detection2d"):
        start(task="segmentation")
