"""A camera that drives down generated streets until it is stopped, for `demo.launch.py`.

`ros2 run centernet_ros street_camera` publishes `image` and `camera_info`, as a camera driver does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image

from demo.sources import camera_info_message, image_message, street_frames
from demo.tasks import choose_task

if TYPE_CHECKING:  # the street world imports PyTorch, which takes seconds
    from training.data.street import StreetFrame

QOS = QoSProfile(depth=2)
"""Reliable, which fits every subscriber."""

SLOWEST, FASTEST = 0.1, 100.0
"""Images a second."""


class StreetCamera(Node):
    """Publishes as many images a second as the parameter `rate` says, with their calibration.

    The parameter `task` chooses the camera in the street, as it does in `make demo`.
    """

    def __init__(self) -> None:
        """Offer the topics.

        Raises:
            ValueError: The rate or the task is not allowed.
        """
        super().__init__("street_camera")
        rate: float = self.declare_parameter("rate", 10.0).value
        if not SLOWEST <= rate <= FASTEST:
            raise ValueError(f"parameter rate is {rate}, expected {SLOWEST} to {FASTEST}")
        self._images = self.create_publisher(Image, "image", QOS)
        self._infos = self.create_publisher(CameraInfo, "camera_info", QOS)
        task = choose_task(self.declare_parameter("task", "detection2d").value).name
        self._frames = street_frames(task, rate)
        self.create_timer(1 / rate, lambda: self.publish(next(self._frames)))

    def publish(self, frame: StreetFrame) -> None:
        """Send one picture as if it were taken now."""
        info, image = camera_info_message(frame.camera), image_message(frame.image)
        info.header.stamp = image.header.stamp = self.get_clock().now().to_msg()
        self._infos.publish(info)
        self._images.publish(image)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play until SIGINT or SIGTERM; exit status 1 for a parameter that cannot be used."""
    for number in (signal.SIGINT, signal.SIGTERM):  # shells ignore the first in the background
        signal.signal(number, signal.default_int_handler)
    # rclpy's own handlers would end the context under a publication in progress.
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        rclpy.spin(StreetCamera())
    except (ValueError, ParameterException) as error:
        print(f"street_camera: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # launch and the terminal send one each
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
