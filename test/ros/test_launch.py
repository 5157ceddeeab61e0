"""The launch file; `launch` comes with ROS distributions only."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from centernet_ros.tasks import TASKS

ROOT = Path(__file__).parents[2]
LAUNCH_FILE = ROOT / "launch" / "centernet.launch.py"
DEMO_FILE = ROOT / "launch" / "demo.launch.py"
OF_THE_ISSUE = {
    *("task", "weights", "image", "camera_info", "image_transport", "namespace", "rviz"),
    *("use_sim_time", "params_file", "log_level"),
}
SINCE_THEN = ("rviz_frame", "autostart", "respawn")


@pytest.mark.parametrize("path", [LAUNCH_FILE, DEMO_FILE], ids=lambda path: path.name)
def test_it_compiles(path):
    compile(path.read_text(), path, "exec")


def test_the_manifest_names_what_is_launched():
    used = {"launch", "launch_ros", "ros2launch"}
    for path in (LAUNCH_FILE, DEMO_FILE):
        used |= set(re.findall(r'package="(\w+)"', path.read_text()))
    manifest = ElementTree.parse(ROOT / "package.xml")
    assert used - {"centernet_ros"} <= {entry.text for entry in manifest.iter("exec_depend")}


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
    return load(LAUNCH_FILE)


def load(path):
    specification = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def given_of(launch_file, **given):
    defaults = {name: default for name, (default, _) in launch_file.ARGUMENTS.items()}
    return {**defaults, **given}


def test_arguments_are_described(launch_file):
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert [argument.name for argument in arguments] == list(launch_file.ARGUMENTS)
    assert {argument.name for argument in arguments} == {*OF_THE_ISSUE, *SINCE_THEN}
    assert all(argument.description for argument in arguments)
    task, *_ = arguments
    assert all(name in task.description for name in TASKS)


def test_rviz_comes_along_where_it_is_wanted(launch_file):
    from launch import LaunchContext

    def started(**given):
        context = LaunchContext()
        context.launch_configurations.update(given_of(launch_file, **given))
        return [node.node_executable for node in launch_file.start_nodes(context)]

    assert started() == ["centernet_node"]
    # RViz first: where it is missing, launch ends there, and what it started goes on.
    assert started(task="ddd", rviz="true") == ["rviz2", "centernet_node"]


def test_only_what_was_given_reaches_the_node(launch_file):
    path, given = launch_file.node_parameters(given_of(launch_file, weights="mine.safetensors"))
    assert Path(path) == ROOT / "config" / "detection2d.yaml"
    assert given == {"weights": "mine.safetensors"}
    # Nothing: else what the parameter file says of the time would be lost.
    assert len(launch_file.node_parameters(given_of(launch_file))) == 1


def test_a_parameter_file_takes_the_place_of_the_tasks(launch_file, tmp_path):
    path = tmp_path / "mine.yaml"
    path.touch()
    more = {"use_sim_time": "true", "image_transport": "compressed"}
    given = given_of(launch_file, params_file=str(path), **more)
    assert launch_file.node_parameters(given) == [
        str(path),
        {"image_transport": "compressed", "use_sim_time": True},
    ]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"params_file .*mine.yaml' does not exist"):
        launch_file.node_parameters(given)


@pytest.mark.parametrize(
    ("given", "camera_info"),
    [
        ({"image": "/front/image_raw"}, "/front/camera_info"),
        ({"image": "image_raw"}, "camera_info"),
        ({"image": "/front/image_raw", "camera_info": "/info"}, "/info"),
    ],
)
def test_topics_are_those_of_the_camera(launch_file, given, camera_info):
    assert launch_file.node_remappings(given_of(launch_file, **given)) == [
        ("image", given["image"]),
        ("image/compressed", given["image"] + "/compressed"),
        ("camera_info", camera_info),
    ]


@pytest.mark.parametrize("task", TASKS)
def test_rviz_shows_the_task_in_the_frame_that_was_given(launch_file, task):
    file = str(ROOT / "config" / f"{task}.rviz")
    assert launch_file.rviz_arguments(given_of(launch_file, task=task)) == ["-d", file]
    given = given_of(launch_file, task=task, rviz_frame="base_link")
    assert launch_file.rviz_arguments(given) == ["-d", file, "-f", "base_link"]


def test_all_that_rviz_shows_follows_the_namespace(launch_file):
    shown = set()
    for task in TASKS:
        content = yaml.safe_load((ROOT / "config" / f"{task}.rviz").read_text())
        displays = content["Visualization Manager"]["Displays"]
        shown |= {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert shown == {f"/centernet/{name}" for name in launch_file.SHOWN}


def test_a_task_may_have_the_authors_name(launch_file):
    assert launch_file.task_of("ddd") == "detection3d"
    assert launch_file.task_of("pose") == "pose"


def test_an_unknown_task_is_named(launch_file):
    with pytest.raises(ValueError, match="unknown task 'segmentation'; known: detection2d"):
        launch_file.task_of("segmentation")


@pytest.mark.parametrize("path", [LAUNCH_FILE, DEMO_FILE], ids=lambda path: path.name)
def test_launch_does_without_pytorch(path):
    pytest.importorskip("launch_ros", reason="launch is not on PyPI")
    code = f"import runpy, sys; runpy.run_path({str(path)!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_demo_shows_the_node_a_street():
    pytest.importorskip("launch_ros", reason="launch is not on PyPI")
    from launch import LaunchContext

    demo = load(DEMO_FILE)
    *arguments, camera, included = demo.generate_launch_description().entities
    assert [argument.name for argument in arguments] == list(demo.ARGUMENTS)
    assert camera.node_executable == "street_camera"
    context = LaunchContext()
    context.launch_configurations.update(task="pose", rate="5.0", rviz="false")
    given = dict(included.launch_arguments)
    assert given["image"] == "/camera/image"
    assert given["task"].perform(context) == "pose"
    nested = included.launch_description_source.get_launch_description(context)
    names = {argument.name for argument in nested.get_launch_arguments()}
    assert set(given) <= names
