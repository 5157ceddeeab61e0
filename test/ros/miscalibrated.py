"""Calibrations that no camera should send, and odd ones that are none the less right."""

import math
from dataclasses import dataclass
from random import Random

from sensor_msgs.msg import CameraInfo


@dataclass(frozen=True)
class Info:
    """A camera_info, and what is to come of it.

    Attributes:
        kind: what is wrong or odd with it.
        message: its header is the sender's.
        places: whether boxes in space can be told with it.
        p: (12) the projection that counts.
    """

    kind: str
    message: CameraInfo
    places: bool
    p: tuple[float, ...]


def good_info(random: Random, size: tuple[int, int]) -> Info:
    height, width = size
    focal = random.uniform(0.5, 1.5) * (width + 10)
    p = [focal, 0.0, width / 2, -random.random(), 0.0, focal, height / 2, 0.1, 0.0, 0.0, 1.0, 0.002]
    message = CameraInfo(height=height, width=width, distortion_model="plumb_bob")
    message.k = [*p[:3], *p[4:7], *p[8:11]]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p, message.d = p, [0.0] * 5
    return Info("good", message, True, tuple(p))


def odd_info(random: Random, size: tuple[int, int], *, undistort: bool) -> Info:
    """A calibration that is told in an unusual way."""
    info = good_info(random, size)
    kinds = ODD if undistort else {**ODD, **WRONG_LENS}
    kind = random.choice(list(kinds))
    kinds[kind](info.message, random)
    return Info(f"odd: {kind}", info.message, True, info.p)


def bad_info(random: Random, size: tuple[int, int], *, undistort: bool) -> Info:
    """A calibration that tells no place in space.

    Args:
        random: chooses.
        size: height, width of the image.
        undistort: whether the node needs the lens as well.
    """
    info = good_info(random, size)
    kinds = {**WRONG, **(WRONG_LENS if undistort else {})}
    kind = random.choice(list(kinds))
    kinds[kind](info.message, random)
    return Info(kind, info.message, False, info.p)


def window(message, random):
    """The whole image, told as a part of itself."""
    message.roi.width, message.roi.height = message.width, message.height


def binned(message, random):
    message.binning_x = message.binning_y = 1


def unset_rotation(message, random):
    message.r = [0.0] * 9


def other_model(message, random):
    """As long as all coefficients are 0 it does not matter."""
    message.distortion_model = "thin_prism"


ODD = {
    "window": window,
    "binned": binned,
    "unset rotation": unset_rotation,
    "other model": other_model,
    "no D": lambda message, random: setattr(message, "d", []),
}

NO_NUMBERS = math.nan, math.inf, -math.inf, 1e300
LAST = 2**32 - 1


def entry(name: str, *indices: int, values=NO_NUMBERS):
    """Sets one of these numbers of a matrix to one of these values."""

    def change(message, random):
        getattr(message, name)[random.choice(indices)] = random.choice(values)

    return change


def fields(*names: str, values=(LAST, 2**31, 7)):
    """Sets one of these whole numbers of a message, or of its window."""

    def change(message, random):
        *path, name = random.choice(names).split(".")
        setattr(message.roi if path else message, name, random.choice(values))

    return change


def empty(message, random):
    """As a driver sends it that knows nothing."""
    message.k, message.p, message.r = [0.0] * 9, [0.0] * 12, [0.0] * 9
    message.d, message.distortion_model = [], ""


def of_another_camera(message, random):
    message.header.frame_id = "another_optical"


def without_p(message, random):
    """K would count, if the lens did not distort in a way that nobody knows."""
    message.p, message.d = [0.0] * 12, [0.1] * 3


def distort(message, random):
    message.d = [0.1] * random.choice((1, 2, 3, 6, 7))


def unknown_model(message, random):
    message.d, message.distortion_model = [0.1] * 5, random.choice(("", "thin_prism", "x" * 9999))


WRONG = {
    "long D": lambda message, random: setattr(message, "d", [0.0] * random.choice((15, 50_000))),
    "empty": empty,
    "zero K": lambda message, random: setattr(message, "k", [0.0] * 9),
    "K[0] is 0": entry("k", 0, values=(0.0, -0.0)),
    "no numbers in K": entry("k", *range(9)),
    "no numbers in P": entry("p", *range(12)),
    "no numbers in R": entry("r", *range(9)),
    "no numbers in D": entry("d", *range(5)),
    "negative K": entry("k", 0, 4, values=(-1.0, -1e-300, -500.0)),
    "negative P": entry("p", 0, 5, values=(-1.0, -1e-300, -500.0)),
    "tiny P": entry("p", 0, 5, values=(1e-300, 1e-9, 0.9)),
    "skewed P": entry("p", 1, 4, 8, 9, values=(0.5, -3.0, 100.0)),
    "last row of P": entry("p", 10, values=(0.0, 2.0, -1.0)),
    "other size": fields("height", "width", values=(0, 1, 7, 5000, LAST)),
    "other binning": fields("binning_x", "binning_y"),
    "window beyond the image": fields("roi.x_offset", "roi.y_offset"),
    "other window": fields("roi.width", "roi.height"),
    "another camera's": of_another_camera,
    "no P": without_p,
}

WRONG_LENS = {  # wrong where images are rectified; elsewhere P says it all
    "coefficients": distort,
    "unknown model": unknown_model,
    "skewed K": entry("k", 1, 3, 6, 7, values=(0.5, -3.0, 100.0)),
    "last number of K": entry("k", 8, values=(0.0, 2.0, -1.0)),
    "R is no rotation": entry("r", *range(9), values=(0.5, -3.0, 100.0)),
}
