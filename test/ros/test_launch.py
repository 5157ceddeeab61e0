"""The launch file; `launch` comes with ROS distributions only."""

import importlib.util
from pathlib import Path

import pytest

LAUNCH_FILE = Path(__file__).parents[2] / "launch" / "centernet.launch.py"


def test_it_compiles():
    compile(LAUNCH_FILE.read_text(), LAUNCH_FILE, "exec")


@pytest.fixture
def launch_file():
    pytest.importorskip("launch_ros", reason="launch is not on PyPI")
    specification = importlib.util.spec_from_file_location("centernet_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_arguments_are_described(launch_file):
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert [argument.name for argument in arguments] == list(launch_file.ARGUMENTS)
    assert all(argument.description for argument in arguments)


def test_only_what_was_given_reaches_the_node(launch_file):
    from launch import LaunchContext

    context = LaunchContext()
    values = {name: default for name, (default, _) in launch_file.ARGUMENTS.items()}
    context.launch_configurations.update(values, weights="mine.safetensors")
    (node,) = launch_file.start_node(context)
    assert node.node_executable == "centernet_node"
