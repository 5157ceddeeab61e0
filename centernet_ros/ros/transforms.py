"""From the camera's frame to another one, by TF at the moment of the image."""

from __future__ import annotations

from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

PATIENCE = 0.05
"""Seconds that the worker waits for a transform that is still on its way."""


class TransformError(RuntimeError):
    """There is no transform; the message says between which frames and why."""


class Transforms:
    """Listens to TF while the node is active."""

    def __init__(self, node: Node, target_frame: str) -> None:
        """Listen.

        Raises:
            ValueError: tf2_ros is not installed.
        """
        try:
            import tf2_ros
        except ImportError:
            raise ValueError(
                f"target_frame is {target_frame!r}, but tf2_ros is not installed: "
                "sudo apt install ros-$ROS_DISTRO-tf2-ros-py, or leave target_frame empty"
            ) from None
        self._target_frame = target_frame
        self._errors = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def destroy(self) -> None:
        """Stop to listen."""
        self._listener.unregister()

    def to_target(self, header: Any) -> Any:
        """The geometry_msgs TransformStamped from a header's frame at its stamp.

        Raises:
            TransformError: TF does not know it.
        """
        stamp = header.stamp
        if (stamp.sec, stamp.nanosec) == (0, 0):  # which TF takes for the newest it has
            raise TransformError("the image has no stamp, so that TF cannot tell where it was")
        try:
            return self._buffer.lookup_transform(
                self._target_frame,
                header.frame_id,
                Time.from_msg(stamp),
                timeout=Duration(seconds=PATIENCE),
            )
        except (self._errors, ValueError) as error:
            raise TransformError(
                f"TF has no transform from {header.frame_id!r} to target_frame "
                f"{self._target_frame!r} at the image's stamp: {error}"
            ) from None
