"""The ROS 2 node. With each task's `messages.py` the only part of the package that knows ROS."""
