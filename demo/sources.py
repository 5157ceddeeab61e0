"""What the camera of the demo shows: the street world, or the camera of a recorded drive."""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from centernet_ros.bag import SourceError
from centernet_ros.ros.camera_info import to_camera_info
from demo.tasks import TASKS, choose_task

if TYPE_CHECKING:  # PyTorch takes seconds to load, and replaying a bag does without
    from centernet_ros.image import Image as Pixels
    from centernet_ros.structures import CameraIntrinsics
    from training.data.street import StreetFrame

STREET_FRAME_ID = "camera_color_optical_frame"
STREET_SEED = 900_000
"""Training keeps to lower seeds: the network has never seen these streets."""
STREET_SEQUENCE = 40
"""Frames after which the street changes, so that a demo shows several of them."""


@dataclass(frozen=True)
class Item:
    """One message that the camera publishes.

    Attributes:
        offset: seconds after the first image at which it is due.
        message: a sensor_msgs Image, CompressedImage or CameraInfo.
    """

    offset: float
    message: Any

    @property
    def is_image(self) -> bool:
        """Whether it shows something; otherwise it describes the camera."""
        return not isinstance(self.message, CameraInfo)


class Source(Protocol):
    """A finite film for the camera, which can be read any number of times.

    Attributes:
        description: what is played, for people.
        compressed: whether images are CompressedImage.
        stamped: whether messages keep the stamps that they carry; otherwise they get the time at
            which they are due.
        rate: images a second on average, for the film made of them.
        num_images: how many there are.
    """

    description: str
    compressed: bool
    stamped: bool
    rate: float
    num_images: int

    def items(self) -> Iterator[Item]:
        """All messages in the order of their offsets."""

    def images(self) -> Iterator[Pixels | None]:
        """The images of `items` as pixels, for people; None where one cannot be decoded."""

    @property
    def camera(self) -> CameraIntrinsics | None:
        """The camera that took the images, as it is first described; None if it is not."""


class StreetSource:
    """Drives down several streets of the street world, one after the other."""

    compressed = False
    stamped = False

    def __init__(self, num_images: int, rate: float, task: str = "detection2d") -> None:
        """Film so many images, so many a second, with the camera that suits a task."""
        self.num_images = num_images
        self.rate = rate
        self.task = task
        streets = -(-num_images // STREET_SEQUENCE)
        self.description = f"{num_images} images of {streets} generated streets"

    @functools.cached_property
    def frames(self) -> list[StreetFrame]:
        """All images with their ground truth."""
        return list(self._generate())

    def _generate(self) -> Iterator[StreetFrame]:
        return itertools.islice(street_frames(self.task, self.rate), self.num_images)

    def items(self) -> Iterator[Item]:
        """An image and its camera's description for each moment."""
        # Not of `frames`, which would keep every image beside its message.
        for i, frame in enumerate(self._generate()):
            yield Item(i / self.rate, camera_info_message(frame.camera))
            yield Item(i / self.rate, image_message(frame.image))

    def images(self) -> Iterator[Pixels]:
        """The pixels of each moment."""
        return (frame.image for frame in self.frames)

    @property
    def camera(self) -> CameraIntrinsics:
        """The street's camera."""
        return self.frames[0].camera


def street_frames(task: str, rate: float) -> Iterator[StreetFrame]:
    """Street after street, so many pictures a second, for ever, by the camera of a task."""
    from training.data.street import render_sequence, street_camera

    camera = street_camera(task)
    for seed in itertools.count(STREET_SEED):
        yield from render_sequence(seed, STREET_SEQUENCE, camera, rate)


def image_message(image: Pixels) -> Image:
    """A bgr8 Image of the street's camera, without a stamp."""
    message = Image(header=Header(frame_id=STREET_FRAME_ID), encoding="bgr8")
    message.height, message.width = image.shape[:2]
    message.step = 3 * message.width
    # Assigning to `data` would check each byte, a thousand times slower.
    message.data.frombytes(np.ascontiguousarray(image))
    return message


def camera_info_message(camera: CameraIntrinsics) -> CameraInfo:
    """The description of the street's camera, without a stamp."""
    return to_camera_info(camera, STREET_FRAME_ID)


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose a source."""
    parser.add_argument(
        "--task",
        type=_task,
        default="detection2d",
        help=f"one of {', '.join(TASKS)}; it also chooses the camera in the street",
    )
    parser.add_argument(
        "--bag", type=Path, metavar="FOLDER", help="play this rosbag2 folder instead of a street"
    )
    parser.add_argument("--topic", help="image topic of the bag (default: the first one in it)")
    parser.add_argument(
        "--seconds",
        type=_positive,
        help="how long to play (default: 20, or all of the bag)",
    )
    parser.add_argument(
        "--rate", type=_positive, default=10.0, help="images a second of the street (default: 10)"
    )


def source_arguments(args: argparse.Namespace) -> list[str]:
    """The options of `add_source_arguments` for another process."""
    names = ("task", "bag", "topic", "seconds", "rate")
    given = {name: getattr(args, name) for name in names}
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def open_source(args: argparse.Namespace) -> Source:
    """The source that the options choose.

    Raises:
        SourceError: There is no such bag, or nothing in it that could be played.
    """
    if args.bag is not None:
        from demo.bag import BagSource

        return BagSource(args.bag, args.topic, args.seconds)
    if args.topic is not None:
        raise SourceError("--topic chooses a topic of a bag: it needs --bag")
    seconds = 20.0 if args.seconds is None else args.seconds
    return StreetSource(max(1, round(seconds * args.rate)), args.rate, args.task)


def _task(text: str) -> str:
    try:
        return choose_task(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
