"""The images of a rosbag2 folder, read without ROS: opening it, and choosing among its topics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"

TYPES = get_typestore(Stores.ROS2_JAZZY)
"""Reads and writes messages; these kinds are the same in every distribution."""


class SourceError(ValueError):
    """There is nothing to read; the message is one line that names the path and the reason."""


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[Reader]:
    """The reader of a bag, with one kind of error for all that can be wrong with its files.

    Raises:
        SourceError: The bag cannot be read, now or while it is open.
    """
    if not path.exists():
        raise SourceError(f"bag {path} does not exist")
    if not path.is_dir():
        raise SourceError(f"bag {path} is a file: a rosbag2 folder with a metadata.yaml is needed")
    if not (path / "metadata.yaml").is_file():
        raise SourceError(f"bag {path} has no metadata.yaml: it is no rosbag2 folder")
    try:
        with Reader(path) as reader:
            yield reader
    except SourceError:
        raise
    except Exception as error:  # each storage has its own kinds of error
        raise SourceError(f"bag {path} cannot be read: {first_line(error)}") from error


def choose_image_topic(
    path: Path, connections: Sequence[Connection], wanted: str | None = None
) -> str:
    """The wanted image topic, by default the first one of the bag.

    Raises:
        SourceError: The bag has no such topic.
    """
    images: list[str] = [c.topic for c in connections if c.msgtype in (IMAGE, COMPRESSED)]
    if wanted is None and images:
        return images[0]
    if wanted is not None and wanted in images:
        return wanted
    topics = ", ".join(f"{c.topic} ({c.msgtype})" for c in connections) or "no topic at all"
    missing = f"no image topic {wanted}" if wanted else "no image topic"
    raise SourceError(f"bag {path} has {missing}; it has {topics}")


def info_topic_of(image_topic: str, connections: Sequence[Connection]) -> str | None:
    """The CameraInfo beside an image topic, or the only one where there is only one camera."""
    infos: list[str] = [c.topic for c in connections if c.msgtype == INFO]
    parent = image_topic
    while "/" in parent:
        parent = parent.rpartition("/")[0]
        if f"{parent}/camera_info" in infos:
            return f"{parent}/camera_info"
    cameras = [c for c in connections if c.msgtype in (IMAGE, COMPRESSED)]
    return infos[0] if len(infos) == len(cameras) == 1 else None


def first_line(error: Exception) -> str:
    """The first line of an error, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
