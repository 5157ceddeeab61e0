"""Sample: what every data set yields, and every metric and augmentation takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from centernet_ros.image import Image
from centernet_ros.kitti import KittiObject
from centernet_ros.structures import CameraIntrinsics, Detections2D


class DataError(ValueError):
    """Data that cannot be learnt from or measured on; the message names file and place."""


@dataclass(frozen=True)
class Sample:
    """One image with its ground truth, in pixels of the image and metres of its camera.

    Attributes:
        name: what an error message or a result file calls the image.
        image: (H, W, 3) uint8, blue first.
        truth: the objects, of the type that the task's results have.
        ignored: regions that count neither as object nor as background; label -1: for every class.
        camera: the camera, where it is known.
        areas: (N,) square pixels that each object covers, where the labels tell it; COCO's metrics
            judge by it what is small, and how far a joint may be off.
        ignored_areas: likewise of each ignored region.
        label_lines: the whole label in KITTI's form, where there is one; KITTI's metrics need the
            kinds that are no class, and their order.
    """

    name: str
    image: Image
    truth: Detections2D
    ignored: Detections2D
    camera: CameraIntrinsics | None = None
    areas: Tensor | None = None
    ignored_areas: Tensor | None = None
    label_lines: tuple[KittiObject, ...] = ()


class SampleSet(Protocol):
    """Images with the ground truth of a task; labels lie in memory, images are read on demand."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""

    @property
    def benchmark(self) -> str:
        """Whose metric measures results: `coco`, `voc` or `kitti`; see `training.measuring`."""

    @property
    def names(self) -> Sequence[str]:
        """Name of each sample, without reading its image."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """A sample.

        Raises:
            DataError: Its image is missing, broken or of another size than its label says.
        """
