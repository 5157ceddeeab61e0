"""Where boxes lie: 3D boxes in the image, centres that share a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from centernet_ros.kitti import KittiObject, to_truth
from centernet_ros.structures import STRIDE, CameraIntrinsics
from training.check.records import RawImage

NEAREST = 2.0
"""Metres from which on a whole box lies before the camera and can be projected."""


def projected_boxes(solids: Sequence[KittiObject], camera: CameraIntrinsics) -> list[float]:
    """IoU of each 2D box with the outline of its 3D box in the image, cut off at its edges.

    Args:
        solids: labelled objects; those that reach too near to the camera are left out.
        camera: of the image.
    """
    names = list(dict.fromkeys(item.kind for item in solids))
    truth, _ = to_truth(solids, names)
    corners = truth.corners()
    kept = (corners[..., 2] > NEAREST).all(dim=1)
    pixels = camera.project(corners[kept])
    height, width = camera.image_size
    limit = torch.tensor([width - 1, height - 1], dtype=torch.float64)
    low = pixels.amin(dim=1).clamp(min=0).minimum(limit)
    high = pixels.amax(dim=1).clamp(min=0).minimum(limit)
    boxes = truth.boxes[kept].double()
    shared = (high.minimum(boxes[:, 2:]) - low.maximum(boxes[:, :2])).clamp(min=0).prod(dim=1)
    both = (high - low).prod(dim=1) + (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) - shared
    overlaps: list[float] = (shared / both.clamp(min=1e-9)).tolist()
    return overlaps


def collisions(images: Sequence[RawImage]) -> int:
    """Pairs of objects of one class whose centres fall into one cell (paper, appendix C).

    The cells are those of a network that sees the image at its own resolution. A heat map shows one
    peak for both objects, so that one of them cannot be found.
    """
    pairs = 0
    for image in images:
        cells: Counter[tuple[str, int, int]] = Counter()
        for item in (item for item in image.objects if not item.ignored):
            x1, y1, x2, y2 = item.box
            cell = (item.name, int((x1 + x2) / 2 // STRIDE), int((y1 + y2) / 2 // STRIDE))
            pairs += cells[cell]
            cells[cell] += 1
    return pairs
