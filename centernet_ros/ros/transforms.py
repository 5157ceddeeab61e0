"""From the camera's frame to another one, by TF at the moment of the image."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

TRIES = 3
"""Images of a frame without a transform after which it waits seldom: other cameras would pay."""

RETRY = 10
"""Each so many images without one it waits again: TF may only be late, and is worth it then."""

BACKWARDS = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True)
"""A bag that begins anew, or a simulation: TF would refuse what is older than all it knows."""


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
        self._jumps = node.get_clock().create_jump_callback(
            BACKWARDS, post_callback=lambda _: self._buffer.clear()
        )
        self._missed: Counter[str] = Counter()

    def destroy(self) -> None:
        """Stop to listen."""
        self._jumps.unregister()
        self._listener.unregister()

    def to_target(self, header: Any, timeout: float) -> Any:
        """The geometry_msgs TransformStamped from a header's frame at its stamp.

        Args:
            header: of an image.
            timeout: seconds that a transform which is still on its way is waited for.

        Raises:
            TransformError: TF does not know it.
        """
        stamp, frame = header.stamp, header.frame_id
        if (stamp.sec, stamp.nanosec) == (0, 0):  # which TF takes for the newest it has
            raise TransformError("the image has no stamp, so that TF cannot tell where it was")
        missed = self._missed[frame]
        waits = missed < TRIES or missed % RETRY == 0
        patience = Duration(seconds=timeout if waits else 0)
        try:
            transform = self._buffer.lookup_transform(
                self._target_frame, frame, Time.from_msg(stamp), timeout=patience
            )
        except (self._errors, ValueError) as error:
            self._missed[frame] += 1
            raise TransformError(
                f"TF has no transform from {frame!r} to target_frame "
                f"{self._target_frame!r} at the image's stamp: {error}"
            ) from None
        self._missed[frame] = 0
        return transform
