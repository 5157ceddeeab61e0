"""Films as sources: videos, and one camera of a rosbag2 folder."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Connection

from centernet_ros.bag import (
    COMPRESSED,
    TYPES,
    SourceError,
    choose_image_topic,
    first_line,
    info_topic_of,
    open_bag,
)
from centernet_ros.calibration import Calibration, CalibrationError, calibration_of
from centernet_ros.detect.cameras import Look, look_through
from centernet_ros.detect.frames import NEEDS_CAMERA, Frame, Source, Unusable, frame_of
from centernet_ros.encodings import ImageError, file_to_bgr, raw_to_bgr
from centernet_ros.film import quiet
from centernet_ros.image import Image
from centernet_ros.stamps import NANOSECONDS, to_nanoseconds

RATES = (1.0, 120.0)
"""Least and greatest rate in images a second of a film made of a recording."""

USUAL_RATE = 25.0
"""Of a video that does not tell its own."""


def open_video(path: Path, look: Look | None) -> Source:
    """A video file.

    Raises:
        SourceError: OpenCV cannot read it.
    """
    capture = _capture(path)
    if not capture.isOpened():
        raise SourceError(f"{path} is neither an image nor a video that OpenCV can read")
    rate = capture.get(cv2.CAP_PROP_FPS)
    rate = rate if math.isfinite(rate) and rate > 0 else USUAL_RATE
    # An estimate of the container, or nonsense.
    count = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()

    def read() -> Iterator[Frame | Unusable]:
        seconds = 0.0
        number = 0
        for number, (seconds, image) in enumerate(_frames(path, rate), start=1):
            stamp = round(seconds * NANOSECONDS)
            yield frame_of(f"{number - 1:06d}", image, look, stamp)
        # By time and not by number: telephones record at no constant rate.
        if seconds * rate + 1 < 0.9 * count:
            yield Unusable(path.name, f"ends after {number} of about {count} images: it is damaged")

    return Source(f"video {path}", None, count if count > 0 else None, rate, read, [path])


def _frames(path: Path, rate: float) -> Iterator[tuple[float, Image]]:
    """The images of a video, each with its seconds since the first."""
    film = _capture(path)
    first, last = 0.0, -1.0
    try:
        for number in itertools.count():
            with quiet():
                there, image = film.read()
                seconds = film.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not there:
                return
            first = seconds if number == 0 else first
            # A container without times, or one that OpenCV cannot tell, goes on at its rate.
            last = seconds - first if seconds - first > last else last + 1 / rate
            yield last, np.asarray(image, dtype=np.uint8)
    finally:
        film.release()


def _capture(path: Path) -> cv2.VideoCapture:
    with quiet():
        return cv2.VideoCapture(str(path))


def open_bag_source(
    path: Path,
    topic: str | None,
    *,
    needs_camera: bool,
    look: Look | None,
    undistort: bool,
    rescale: bool = False,
) -> Source:
    """One camera of a rosbag2 folder; see `open_source`.

    Args:
        path: the folder.
        topic: image topic; by default the first one.
        needs_camera: whether to look for the camera of each image.
        look: the camera of all images, instead of what the bag's CameraInfo tells.
        undistort: take the images for raw ones, and rectify them.
        rescale: take the images for resized ones, see `read_camera`.

    Raises:
        SourceError: The bag cannot be read, has no such topic, or no CameraInfo.
    """
    with open_bag(path) as reader:
        connections = list(reader.connections)
        duration = reader.duration / NANOSECONDS
    topic = choose_image_topic(path, connections, topic)
    chosen = [c for c in connections if c.topic == topic]
    count = sum(c.msgcount for c in chosen)
    if count == 0:
        raise SourceError(f"bag {path}: topic {topic} holds no message")
    rate = (count - 1) / duration if duration > 0 and count > 1 else USUAL_RATE
    look_at = _constant(look)
    if needs_camera and look is None:
        info_topic = info_topic_of(topic, connections)
        if info_topic is None:
            raise SourceError(NEEDS_CAMERA.format(what=f"bag {path} has no CameraInfo for {topic}"))
        calibrations = _calibrations(path, info_topic, connections)
        look_at = _calibrated(calibrations, undistort=undistort, rescale=rescale)

    def read() -> Iterator[Frame | Unusable]:
        for number, (connection, data) in enumerate(_messages(path, topic)):
            name = f"{number:06d}"
            try:
                stamp, image = _image_of(connection, data)
                yield frame_of(name, image, look_at(stamp), stamp)
            except (ImageError, CalibrationError) as error:
                yield Unusable(name, str(error))

    names = [f"{number:06d}" for number in range(count)]
    rate = min(max(rate, RATES[0]), RATES[1])
    return Source(f"{topic} of bag {path}", names, count, rate, read)


def _messages(path: Path, topic: str) -> Iterator[tuple[Connection, bytes]]:
    """The serialised messages of a topic in order."""
    with open_bag(path) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        for connection, _, data in reader.messages(chosen):
            yield connection, data


def _image_of(connection: Connection, data: bytes) -> tuple[int, Image]:
    """Stamp in nanoseconds and picture of a message.

    Raises:
        ImageError: The message is damaged, or holds no usable image.
    """
    try:
        message = _deserialise(connection, data)
    except Exception as error:  # damaged data can end in any of a dozen types
        raise ImageError(f"is no readable {connection.msgtype}: {first_line(error)}") from None
    stamp = to_nanoseconds(message.header.stamp)
    if connection.msgtype == COMPRESSED:
        return stamp, file_to_bgr(message.data, f"format {message.format!r}")
    return stamp, raw_to_bgr(message)


def _deserialise(connection: Connection, data: bytes) -> Any:
    return TYPES.deserialize_cdr(data, connection.msgtype)


def _calibrations(
    path: Path, topic: str, connections: list[Connection]
) -> list[tuple[int, Calibration]]:
    """Stamps in nanoseconds, rising, from which on a calibration holds.

    Raises:
        SourceError: There is no message, or an unreadable one.
    """
    found: list[tuple[int, Calibration]] = []
    for connection, data in _messages(path, topic):
        try:
            info = _deserialise(connection, data)
            calibration = calibration_of(info)
        except Exception as error:  # damaged data can end in any of a dozen types
            raise SourceError(
                f"bag {path}: a message of {topic} is unreadable: {first_line(error)}"
            ) from None
        stamp = to_nanoseconds(info.header.stamp)
        if not found or found[-1][1] != calibration:
            found.append((stamp, calibration))
    if not found:
        raise SourceError(f"bag {path}: topic {topic} holds no message")
    return sorted(found, key=lambda entry: entry[0])


def _constant(look: Look | None) -> Callable[[int], Look | None]:
    return lambda stamp: look


def _calibrated(
    calibrations: list[tuple[int, Calibration]], *, undistort: bool, rescale: bool
) -> Callable[[int], Look | None]:
    """The camera at a stamp: of the last calibration until then, else of the first one."""
    stamps = [stamp for stamp, _ in calibrations]

    def look_at(stamp: int) -> Look:
        last = max(0, bisect.bisect_right(stamps, stamp) - 1)
        return look_through(calibrations[last][1], undistort=undistort, rescale=rescale)

    return look_at
