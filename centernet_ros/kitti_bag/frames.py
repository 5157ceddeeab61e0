"""Which message of a KITTI bag is which frame: `frames.txt` beside the messages.

Each line holds a frame's name and the stamp of its messages in nanoseconds. As the name comes
first, the file is a list of frames for the evaluation too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centernet_ros.bag import INFO, TYPES, SourceError, first_line, open_bag
from centernet_ros.calibration import calibration_of, intrinsics_of
from centernet_ros.stamps import NANOSECONDS, to_nanoseconds
from centernet_ros.structures import CameraIntrinsics

FILE = "frames.txt"

START = 1_316_995_200 * NANOSECONDS
"""Stamp of the first frame: the day of KITTI's first drive, as the data set tells no times."""


@dataclass(frozen=True, eq=False)
class BagFrame:
    """A frame of a KITTI bag.

    Attributes:
        name: of its files in the data set.
        stamp: of its messages in nanoseconds.
        camera: that took it.
    """

    name: str
    stamp: int
    camera: CameraIntrinsics


def stamp_of(index: int, rate: float) -> int:
    """Stamp in nanoseconds of a frame, counted from 0, of so many a second."""
    return START + round(index / rate * NANOSECONDS)


def write_names(bag: Path, names: Sequence[str], rate: float) -> None:
    """Write the list of a bag's frames."""
    lines = (f"{name} {stamp_of(index, rate)}\n" for index, name in enumerate(names))
    (bag / FILE).write_text("".join(lines))


def read_frames(bag: Path) -> dict[int, BagFrame]:
    """The frames of a bag by their stamps, in order.

    Raises:
        SourceError: It is no bag of KITTI frames, or damaged.
    """
    cameras = _cameras(bag)
    frames = {}
    for name, stamp in _read_names(bag / FILE):
        if stamp not in cameras:
            raise SourceError(f"bag {bag} has no camera_info of frame {name} (stamp {stamp})")
        frames[stamp] = BagFrame(name, stamp, cameras[stamp])
    return frames


def _read_names(path: Path) -> list[tuple[str, int]]:
    """Names and stamps.

    Raises:
        SourceError: The file is missing, empty or of another form.
    """
    if not path.is_file():
        raise SourceError(f"{path} does not exist: the bag is none of centernet_ros.kitti_bag")
    entries = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        name, _, stamp = line.rpartition(" ")  # a name may hold blanks
        if not name or not stamp.isdecimal():
            raise SourceError(f"{path}, line {number}: expected a name and a stamp, found {line!r}")
        entries.append((name, int(stamp)))
    if not entries:
        raise SourceError(f"{path} is empty")
    return entries


def _cameras(bag: Path) -> dict[int, CameraIntrinsics]:
    """The camera at each stamp in nanoseconds.

    Raises:
        SourceError: The bag cannot be read, or a calibration in it.
    """
    cameras = {}
    with open_bag(bag) as reader:
        chosen = [c for c in reader.connections if c.msgtype == INFO]
        for connection, _, data in reader.messages(chosen):
            try:
                info = TYPES.deserialize_cdr(data, connection.msgtype)
                calibration = calibration_of(info)
                camera = intrinsics_of(calibration, calibration.image_size)
            except Exception as error:  # damaged data can end in any of a dozen types
                raise SourceError(
                    f"bag {bag}: a message of {connection.topic} is unreadable: {first_line(error)}"
                ) from None
            cameras[to_nanoseconds(info.header.stamp)] = camera
    return cameras
