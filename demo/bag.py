"""A recorded drive as a source: reads rosbag2 folders, also where no ROS is installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from centernet_ros.bag import (
    COMPRESSED,
    IMAGE,
    INFO,
    TYPES,
    SourceError,
    choose_image_topic,
    first_line,
    info_topic_of,
    open_bag,
)
from centernet_ros.stamps import NANOSECONDS
from demo.sources import Item

if TYPE_CHECKING:
    from centernet_ros.image import Image as Pixels
    from centernet_ros.structures import CameraIntrinsics

MESSAGES = {IMAGE: Image, COMPRESSED: CompressedImage, INFO: CameraInfo}


class BagSource:
    """One camera of a rosbag2 folder at the rate at which it was recorded."""

    stamped = True

    def __init__(self, path: Path, topic: str | None = None, seconds: float | None = None) -> None:
        """Choose the camera and read its first image.

        Args:
            path: folder with a metadata.yaml.
            topic: image topic; by default the first one of the bag.
            seconds: how much to play; by default all.

        Raises:
            SourceError: The bag cannot be read, or has no such topic.
        """
        self.path = path
        self.seconds = seconds
        with open_bag(path) as reader:
            connections = list(reader.connections)
        self.topic = choose_image_topic(path, connections, topic)
        info_topic = info_topic_of(self.topic, connections)
        self._chosen = {self.topic, info_topic}
        self._described = info_topic is not None
        kind = next(c.msgtype for c in connections if c.topic == self.topic)
        self.compressed = kind == COMPRESSED
        self._start, self.num_images, self.rate = self._extent()
        # Says now, and not in the middle of the demo, that nothing is readable.
        next(item for item in self.items() if item.is_image)
        images = sorted(c.topic for c in connections if c.msgtype in (IMAGE, COMPRESSED))
        more = [name for name in images if name != self.topic]
        self.description = (
            f"{self.num_images} images of {self.topic} ({kind.rpartition('/')[2]}) in {path}, "
            + (f"camera described by {info_topic}" if info_topic else "no CameraInfo")
            + (f"; other image topics: {', '.join(more)}" if more else "")
        )

    def _extent(self) -> tuple[int, int, float]:
        """Time of the first image in nanoseconds, number of images, images a second on average."""
        with open_bag(self.path) as reader:
            chosen = [c for c in reader.connections if c.topic == self.topic]
            times = (time for _, time, _ in reader.messages(chosen))
            start = next(times, None)
            if start is None:
                raise SourceError(f"bag {self.path}: topic {self.topic} holds no message")
            if self.seconds is None:
                # Long drives take minutes to read, and their index knows the number.
                count, duration = sum(c.msgcount for c in chosen), reader.end_time - start
            else:
                end = start + int(self.seconds * NANOSECONDS)
                played = [start, *itertools.takewhile(lambda time: time < end, times)]
                count, duration = len(played), played[-1] - start
        return start, count, (count - 1) / duration * NANOSECONDS if duration > 0 else 10.0

    def items(self) -> Iterator[Item]:
        """The recorded messages, with the stamps and frame ids of the recording.

        Raises:
            SourceError: A message cannot be read.
        """
        limit = None
        if self.seconds is not None:
            limit = self._start + int(self.seconds * NANOSECONDS)
        with open_bag(self.path) as reader:
            chosen = [c for c in reader.connections if c.topic in self._chosen]
            for connection, time, data in reader.messages(chosen, stop=limit):
                message = self._message(connection, data)
                yield Item(max(0.0, (time - self._start) / NANOSECONDS), message)

    def images(self) -> Iterator[Pixels | None]:
        """The recorded images as the node sees them."""
        from centernet_ros.ros.images import to_bgr

        for item in self.items():
            if item.is_image:
                try:
                    yield to_bgr(item.message)
                except ValueError:
                    yield None

    @property
    def camera(self) -> CameraIntrinsics | None:
        """The camera as its first description and the first readable image have it."""
        from centernet_ros.calibration import CalibrationError, calibration_of, intrinsics_of

        if not self._described:
            return None
        info = next((item.message for item in self.items() if not item.is_image), None)
        image = next((image for image in self.images() if image is not None), None)
        if info is None or image is None:
            return None
        try:
            return intrinsics_of(calibration_of(info), image.shape[:2])
        except CalibrationError:
            return None

    def _message(self, connection: Connection, data: bytes) -> Any:
        try:
            # The middleware trusts its input: damaged data would end the process.
            TYPES.deserialize_cdr(data, connection.msgtype)
            return deserialize_message(bytes(data), MESSAGES[connection.msgtype])
        except Exception as error:
            raise SourceError(
                f"bag {self.path}: a message of {connection.topic} is unreadable "
                f"as {connection.msgtype}: {first_line(error)}"
            ) from error
