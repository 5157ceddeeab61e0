"""The node for one camera: `ros2 launch centernet_ros centernet.launch.py image:=/cam/image_raw`.

Everything else an operator sets lies in the parameter file; here are only names, and what is most
often changed. An argument left empty changes nothing.
"""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from centernet_ros.ros.isolation import shared_memory_profile
from centernet_ros.ros.resources import package_file
from launch import LaunchContext, LaunchDescription

ARGUMENTS = {
    "params_file": (str(package_file("config/detection2d.yaml")), "Parameter file (YAML)."),
    "weights": ("", "Weights file in place of the parameter file's."),
    "image": ("image", "Topic of the images; of its /compressed with image_transport:=compressed."),
    "image_transport": ("", "raw or compressed, in place of the parameter file's."),
    "namespace": ("", "Namespace of the node, one for each camera."),
    "use_sim_time": ("false", "Whether time comes from /clock, as with a replayed bag."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}


def start_node(context: LaunchContext) -> list[Node]:
    """The node with the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    parameters = {name: given[name] for name in ("weights", "image_transport") if given[name]}
    parameters["use_sim_time"] = given["use_sim_time"].lower() == "true"
    # Whoever has a profile of their own keeps it.
    profile = {
        name: path for name, path in shared_memory_profile().items() if name not in os.environ
    }
    return [
        Node(
            package="centernet_ros",
            executable="centernet_node",
            namespace=given["namespace"],
            parameters=[given["params_file"], parameters],
            remappings=[
                ("image", given["image"]),
                ("image/compressed", f"{given['image']}/compressed"),
            ],
            arguments=["--ros-args", "--log-level", given["log_level"]],
            additional_env=profile,
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_node)])
