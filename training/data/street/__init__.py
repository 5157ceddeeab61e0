"""A procedural street seen by a calibrated camera, with exact truth for every task.

The same seed gives the same pixels and the same truth on every machine and in every process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from centernet_ros.structures import CameraIntrinsics
from training.data.street.placement import random_scene
from training.data.street.render import render
from training.data.street.sensor import Sensor
from training.data.street.truth import CLASS_NAMES, StreetFrame, annotate

__all__ = [
    "CLASS_NAMES",
    "DEFAULT_CAMERA",
    "PEOPLE_CAMERA",
    "StreetDataset",
    "StreetFrame",
    "kitti_camera",
    "render_frame",
    "render_sequence",
    "street_camera",
]

_KITTI_P2 = (
    (721.5377, 0.0, 609.5593, 44.85728),
    (0.0, 721.5377, 172.854, 0.2163791),
    (0.0, 0.0, 1.0, 0.002745884),
)
_KITTI_SIZE = (375, 1242)


def kitti_camera(image_size: tuple[int, int], focal_factor: float = 1.0) -> CameraIntrinsics:
    """KITTI's left colour camera, resized to height, width, with another focal length."""
    projection = torch.tensor(_KITTI_P2, dtype=torch.float64)
    projection[0] *= image_size[1] / _KITTI_SIZE[1]
    projection[1] *= image_size[0] / _KITTI_SIZE[0]
    projection[[0, 1], [0, 1]] *= focal_factor
    projection[[0, 1], 3] *= focal_factor
    return CameraIntrinsics(projection, image_size)


DEFAULT_CAMERA = kitti_camera((192, 640))
"""KITTI's camera at 640 x 192 pixels."""


def _middle(camera: CameraIntrinsics, image_size: tuple[int, int]) -> CameraIntrinsics:
    """The camera whose image of this height and width is the middle of another one's."""
    down, right = ((a - b) // 2 for a, b in zip(camera.image_size, image_size, strict=True))
    projection = camera.projection.clone()
    projection[0] -= right * projection[2]
    projection[1] -= down * projection[2]
    return CameraIntrinsics(projection, image_size)


PEOPLE_CAMERA = _middle(kitti_camera(_KITTI_SIZE), (320, 640))
"""The middle 640 x 320 pixels of KITTI's camera, where joints are some pixels apart."""


def street_camera(task: str) -> CameraIntrinsics:
    """The camera through which a task sees the street."""
    return PEOPLE_CAMERA if task == "pose" else DEFAULT_CAMERA


def render_frame(
    seed: int | np.random.SeedSequence, camera: CameraIntrinsics = DEFAULT_CAMERA
) -> StreetFrame:
    """One random street; the same seed shows the same street to any camera."""
    rng = np.random.default_rng(seed)
    scene, sensor = random_scene(rng), Sensor.random(rng)
    return annotate(render(scene, camera, 0.0, sensor=sensor, rng=rng), camera)


def render_sequence(
    seed: int, num_frames: int, camera: CameraIntrinsics = DEFAULT_CAMERA, rate: float = 10.0
) -> Iterator[StreetFrame]:
    """A drive down a random street: camera and actors move, rate pictures a second.

    The whole drive is one world: another number of pictures is another street.
    """
    rng = np.random.default_rng([seed, num_frames])
    scene, sensor = random_scene(rng, num_frames / rate), Sensor.random(rng)
    for index in range(num_frames):
        yield annotate(render(scene, camera, index / rate, sensor=sensor, rng=rng), camera)


@dataclass(frozen=True)
class StreetDataset:
    """Independent pictures; picture i depends on (seed, i) only, so that no two seeds share one.

    Attributes:
        seed: which pictures.
        count: how many.
        camera: the camera of all pictures.
    """

    seed: int
    count: int
    camera: CameraIntrinsics = field(default_factory=lambda: dataclasses.replace(DEFAULT_CAMERA))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> StreetFrame:
        """Picture at an index from 0 to count - 1."""
        if not 0 <= index < self.count:
            raise IndexError(f"picture {index} of {self.count}")
        return render_frame(np.random.SeedSequence([self.seed, index]), self.camera)
