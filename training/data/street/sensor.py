"""What a real camera does to a picture: exposure, colour balance, blur and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from training.data.street.canvas import Bytes

_NOISE_STEPS = 8


@lru_cache(maxsize=_NOISE_STEPS)
def _sensor_noise(strength: int, size: tuple[int, int]) -> tuple[Bytes, Bytes]:
    """What noise of a strength from 1 to 8 adds and takes away, made of whole numbers only.

    Both are (H', W', 3), larger than pictures of the given height and width so that noise rarely
    repeats.
    """
    rng = np.random.default_rng(7)
    total = np.zeros((size[0] + 256, size[1] + 256, 3), dtype=np.int16)
    for _ in range(4):
        total += rng.integers(-31, 32, total.shape, dtype=np.int16)
    scaled = total * strength // 64
    return np.maximum(scaled, 0).astype(np.uint8), np.maximum(-scaled, 0).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """A camera's settings, which stay the same during a drive.

    Attributes:
        curve: (1, 256, 3) brightness for every brightness of the scene.
        blurred: whether the focus is a little off.
        noise: strength from 1 to 8.
    """

    curve: Bytes
    blurred: bool
    noise: int

    @classmethod
    def random(cls, rng: np.random.Generator) -> Sensor:
        """Some camera."""
        gain, gamma = math.exp(rng.normal(0, 0.16)), math.exp(rng.normal(0, 0.14))
        balance = np.exp(rng.normal(0, 0.03, 3))
        levels = np.arange(256)[:, None] / 255
        curve = np.rint(np.clip((levels * balance * gain) ** gamma, 0, 1) * 255)
        blurred, noise = bool(rng.random() < 0.35), int(rng.integers(1, _NOISE_STEPS + 1))
        return cls(curve.astype(np.uint8)[None], blurred, noise)

    def expose(self, picture: Bytes, rng: np.random.Generator) -> Bytes:
        """A picture (H, W, 3) as the camera would record it, with noise of its own."""
        exposed = cv2.LUT(picture, self.curve)
        if self.blurred:
            exposed = cv2.GaussianBlur(exposed, (3, 3), 0)
        more, less = _sensor_noise(self.noise, (picture.shape[0], picture.shape[1]))
        y, x = (int(rng.integers(more.shape[i] - picture.shape[i] + 1)) for i in (0, 1))
        here = np.s_[y : y + picture.shape[0], x : x + picture.shape[1]]
        return np.asarray(cv2.subtract(cv2.add(exposed, more[here]), less[here]), dtype=np.uint8)
