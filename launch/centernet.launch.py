"""The node: `ros2 launch centernet_ros centernet.launch.py image:=/camera/image_raw`.

Everything else an operator sets lies in the parameter file; here are only names, and what is most
often changed. An argument left empty changes nothing.
"""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from centernet_ros.ros.isolation import shared_memory_profile
from centernet_ros.ros.resources import package_file
from centernet_ros.tasks import TASK_ALIASES, TASKS
from launch import LaunchContext, LaunchDescription

ARGUMENTS = {
    "task": ("detection2d", f"{', '.join(TASKS)}: chooses the parameter file, and that RViz's."),
    "params_file": ("", "Parameter file (YAML) in place of the task's in config/."),
    "weights": ("", "Weights file in place of the parameter file's."),
    "image": ("image", "Topic of the images; of its /compressed with image_transport:=compressed."),
    "camera_info": ("", "Topic of the calibration; by default camera_info beside the images."),
    "image_transport": ("", "raw or compressed, in place of the parameter file's."),
    "namespace": ("", "Namespace of the node."),
    "rviz": ("false", "Whether RViz is started, with config/<task>.rviz."),
    "use_sim_time": ("false", "Whether time comes from /clock, as with a replayed bag."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}


def start_nodes(context: LaunchContext) -> list[Node]:
    """The node, and RViz where it was asked for, with the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    task = TASK_ALIASES.get(given["task"], given["task"])
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    sim_time = {"use_sim_time": _is_true(given["use_sim_time"])}
    parameters = {name: given[name] for name in ("weights", "image_transport") if given[name]}
    image = given["image"]
    # Whoever has a profile of their own keeps it.
    profile = {
        name: path for name, path in shared_memory_profile().items() if name not in os.environ
    }
    node = Node(
        package="centernet_ros",
        executable="centernet_node",
        namespace=given["namespace"],
        parameters=[
            given["params_file"] or str(package_file(f"config/{task}.yaml")),
            {**parameters, **sim_time},
        ],
        remappings=[
            ("image", image),
            ("image/compressed", f"{image}/compressed"),
            ("camera_info", given["camera_info"] or _beside(image, "camera_info")),
        ],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        additional_env=profile,
        output="screen",
        emulate_tty=True,
    )
    if not _is_true(given["rviz"]):
        return [node]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        parameters=[sim_time],
        arguments=["-d", str(package_file(f"config/{task}.rviz"))],
    )
    return [node, rviz]


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes", "on")


def _beside(topic: str, name: str) -> str:
    """The topic of this name in the namespace of another one, as camera drivers have it."""
    namespace, slash, _ = topic.rpartition("/")
    return namespace + slash + name


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_nodes)])
