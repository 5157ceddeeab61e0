"""2D boxes: centres from a heat map, size and sub-cell offset read at the centre."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from centernet_ros.structures import Detections2D, View
from centernet_ros.tasks.base import HEATMAP_BIAS, MAX_DETECTIONS, Head, Maps, Task
from centernet_ros.tasks.heatmap import (
    IGNORED_PEAK,
    draw_gaussian,
    find_peaks,
    focal_loss,
    gather,
    gaussian_radius,
    masked_l1,
)

MAX_OBJECTS = 128
"""Object slots of a training image; further objects are dropped."""


class Detection2D(Task[Detections2D]):
    """The authors' `ctdet`."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.heads = (
            Head("heatmap", num_classes, activation=torch.sigmoid, initial_bias=HEATMAP_BIAS),
            Head("size", 2, loss_weight=0.1),
            Head("offset", 2),
        )

    def encode(
        self,
        truth: Detections2D,
        view: View,
        grid: tuple[int, int],
        ignored: Detections2D | None = None,
    ) -> dict[str, Tensor]:
        """Targets of one image, see `Task.encode`.

        Returns:
            heatmap: (C, H, W).
            index: (128,) int64 cell of each object.
            mask: (128,) bool, whether the slot holds an object.
            size: (128, 2) width, height in cells.
            offset: (128, 2) x, y from the cell to the centre, in cells.
        """
        targets = {
            "heatmap": torch.zeros(self.num_classes, *grid),
            "index": torch.zeros(MAX_OBJECTS, dtype=torch.int64),
            "mask": torch.zeros(MAX_OBJECTS, dtype=torch.bool),
            "size": torch.zeros(MAX_OBJECTS, 2),
            "offset": torch.zeros(MAX_OBJECTS, 2),
        }
        if ignored is not None:
            for _, label, centre, radius in self._points(ignored, view, grid):
                column, row = centre.int().tolist()
                for channel in range(self.num_classes) if label < 0 else (label,):
                    draw_gaussian(targets["heatmap"][channel], column, row, radius)
                    targets["heatmap"][channel, row, column] = IGNORED_PEAK
        objects = islice(self._points(truth, view, grid), MAX_OBJECTS)
        for slot, (size, label, centre, radius) in enumerate(objects):
            column, row = centre.int().tolist()
            draw_gaussian(targets["heatmap"][label], column, row, radius)
            targets["index"][slot] = row * grid[1] + column
            targets["mask"][slot] = True
            targets["size"][slot] = size
            targets["offset"][slot] = centre - centre.floor()
        return targets

    @staticmethod
    def _points(
        objects: Detections2D, view: View, grid: tuple[int, int]
    ) -> Iterator[tuple[Tensor, int, Tensor, int]]:
        """Size (2,), label, centre (2,) and Gaussian radius, in cells, of objects on the grid."""
        height, width = grid
        # The authors clip to the centres of the outermost cells.
        limit = torch.tensor([width - 1, height - 1] * 2, dtype=torch.float64)
        boxes = view.boxes_to_grid(objects.boxes).clamp(min=0).minimum(limit).float()
        for box, label in zip(boxes, objects.labels.tolist(), strict=True):
            size = box[2:] - box[:2]
            if bool((size > 0).all()):
                columns, rows = (math.ceil(side) for side in size.tolist())
                yield size, label, (box[:2] + box[2:]) / 2, gaussian_radius(rows, columns)

    def losses(self, maps: Maps, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Focal loss of the heat map, L1 of size and offset in cells (eq. 1-3)."""
        index, mask = targets["index"], targets["mask"]
        return {
            "heatmap": focal_loss(maps["heatmap"], targets["heatmap"]),
            "size": masked_l1(maps["size"], targets["size"], index, mask),
            "offset": masked_l1(maps["offset"], targets["offset"], index, mask),
        }

    def decode(
        self, maps: Maps, views: Sequence[View], max_detections: int = MAX_DETECTIONS
    ) -> list[Detections2D]:
        """Boxes of each image in its own pixels (eq. 5); see `Task.decode`."""
        values = self.activate(maps)
        peaks = find_peaks(values["heatmap"], max_detections)
        centres = peaks.points + gather(values["offset"], peaks.indices)
        half = gather(values["size"], peaks.indices) / 2
        boxes = torch.cat([centres - half, centres + half], dim=-1).cpu()
        scores, labels = peaks.scores.cpu(), peaks.labels.cpu()
        return [
            Detections2D(view.boxes_to_image(boxes[i]).float(), scores[i].float(), labels[i])
            for i, view in enumerate(views)
        ]
