"""The node: `ros2 launch centernet_ros centernet.launch.py image:=/camera/image_raw`.

Everything else an operator sets lies in the parameter file; here are only names, and what is most
often changed. An argument left empty changes nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from centernet_ros.resources import package_file
from centernet_ros.ros.isolation import profile_unless_set
from launch import LaunchContext, LaunchDescription

ARGUMENTS = {
    "task": (
        "detection2d",
        "detection2d, detection3d or pose: chooses the parameter file, and that of RViz.",
    ),
    "params_file": ("", "Parameter file (YAML) in place of the task's in config/."),
    "weights": ("", "Weights file in place of the parameter file's."),
    "image": ("image", "Topic of the images; of its /compressed with image_transport:=compressed."),
    "camera_info": ("", "Topic of the calibration; by default camera_info beside the images."),
    "image_transport": ("", "raw or compressed, in place of the parameter file's."),
    "namespace": ("", "Namespace of the node."),
    "rviz": ("false", "Whether RViz is started, with config/<task>.rviz."),
    "rviz_frame": ("", "Fixed frame of RViz: the frame_id of the images, or target_frame."),
    "use_sim_time": ("", "Whether time comes from /clock, as with a replayed bag."),
    "autostart": ("", "false leaves configuring and activating to a lifecycle manager."),
    "respawn": ("false", "Whether a node that has died is started anew, after two seconds."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
SHOWN = ("debug_image", "markers")
"""Topics of the node that the files of RViz name, as those of a node without a namespace."""


def start_nodes(context: LaunchContext) -> list[Node]:
    """The node, and RViz where it was asked for, with the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given["task"] = task_of(given["task"])
    node = Node(
        package="centernet_ros",
        executable="centernet_node",
        namespace=given["namespace"],
        parameters=node_parameters(given),
        remappings=node_remappings(given),
        arguments=["--ros-args", "--log-level", given["log_level"]],
        additional_env=profile_unless_set(),
        output="screen",
        emulate_tty=True,
        respawn=_is_true(given["respawn"]),
        respawn_delay=2.0,
    )
    if not _is_true(given["rviz"]):
        return [node]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        parameters=[{"use_sim_time": _is_true(given["use_sim_time"])}],
        # To names relative to the namespace, which RViz has in common with the node.
        remappings=[(f"/centernet/{name}", f"centernet/{name}") for name in SHOWN],
        arguments=rviz_arguments(given),
    )
    # Where RViz is not installed, launch gives up here, and would leave a node behind.
    return [rviz, node]


def node_parameters(given: Mapping[str, str]) -> list[Any]:
    """The parameter file, and what was given besides.

    Raises:
        FileNotFoundError: There is no such file.
    """
    path = package_file(f"config/{given['task']}.yaml")
    if given["params_file"]:
        path = Path(given["params_file"]).expanduser().resolve()
        if not path.is_file():
            raise FileNotFoundError(f"params_file {str(path)!r} does not exist")
    more: dict[str, Any] = {n: given[n] for n in ("weights", "image_transport") if given[n]}
    for name in ("use_sim_time", "autostart"):
        if given[name]:
            more[name] = _is_true(given[name])
    return [str(path), *([more] if more else [])]


def node_remappings(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """The node's topics to the camera's; camera drivers have the calibration beside the images."""
    image = given["image"]
    namespace, slash, _ = image.rpartition("/")
    return [
        ("image", image),
        ("image/compressed", f"{image}/compressed"),
        ("camera_info", given["camera_info"] or f"{namespace}{slash}camera_info"),
    ]


def rviz_arguments(given: Mapping[str, str]) -> list[str]:
    """The task's file, and the frame in place of the file's."""
    frame = ["-f", given["rviz_frame"]] if given["rviz_frame"] else []
    return ["-d", str(package_file(f"config/{given['task']}.rviz")), *frame]


def task_of(name: str) -> str:
    """The task of a name or of an alias, each of which has files in `config/`.

    Raises:
        ValueError: There is no such task; the message lists the known ones.
    """
    try:
        package_file(f"config/{name}.rviz")
        return name
    except FileNotFoundError:
        # Only now: it imports PyTorch, whose memory this process would keep beside the node's.
        from centernet_ros.tasks import TASK_ALIASES, TASKS
    if name not in TASK_ALIASES:
        raise ValueError(f"unknown task {name!r}; known: {', '.join(TASKS)}")
    return TASK_ALIASES[name]


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes", "on")


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_nodes)])
