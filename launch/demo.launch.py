"""The node before a camera in generated streets: `ros2 launch centernet_ros demo.launch.py`.

It needs neither a camera nor a bag. `rviz:=true` shows what the node finds, and so does
`ros2 topic echo /centernet/detections_2d`.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from centernet_ros.resources import package_file
from centernet_ros.ros.isolation import profile_unless_set
from launch import LaunchDescription

ARGUMENTS = {
    "task": ("detection2d", "detection2d, detection3d or pose."),
    "rate": ("10.0", "Images of the camera a second."),
    "rviz": ("false", "Whether RViz is started, with config/<task>.rviz."),
}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    camera = Node(
        package="centernet_ros",
        executable="street_camera",
        namespace="camera",
        parameters=[
            {
                "task": LaunchConfiguration("task"),
                # A whole number is a rate too.
                "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
            }
        ],
        additional_env=profile_unless_set(),
        output="screen",
    )
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(package_file("launch/centernet.launch.py"))),
        launch_arguments={
            "task": LaunchConfiguration("task"),
            "image": "/camera/image",
            "rviz": LaunchConfiguration("rviz"),
        }.items(),
    )
    return LaunchDescription([*arguments, camera, node])
