"""Sample: what every data set yields, and every metric and augmentation takes."""

from __future__ import annotations

from dataclasses import dataclass

from centernet_ros.image import Image
from centernet_ros.structures import CameraIntrinsics, Detections2D


@dataclass(frozen=True)
class Sample:
    """One image with its ground truth, in pixels of the image and metres of its camera.

    Attributes:
        name: what an error message or a result file calls the image.
        image: (H, W, 3) uint8, blue first.
        truth: the objects, of the type that the task's results have.
        ignored: regions that count neither as object nor as background; label -1: for every class.
        camera: the camera, where it is known.
    """

    name: str
    image: Image
    truth: Detections2D
    ignored: Detections2D
    camera: CameraIntrinsics | None = None
