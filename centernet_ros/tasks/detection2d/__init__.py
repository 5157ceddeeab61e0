"""2D boxes: centres from a heat map, size and sub-cell offset read at the centre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from centernet_ros.structures import Detections2D, View
from centernet_ros.tasks.base import HEATMAP_BIAS, Counts, Head, Maps, Task, mirror
from centernet_ros.tasks.focal import count_peaks, focal_loss
from centernet_ros.tasks.heatmap import (
    Values,
    count_coordinates,
    draw_gaussian,
    draw_ignored,
    find_peaks,
    masked_l1,
    masked_smooth_l1,
    place,
    read_boxes,
)

MAX_OBJECTS = 128
"""Object slots of a training image; of further objects only the heat map tells."""


class Detection2D(Task[Detections2D]):
    """The authors' `ctdet`."""

    def __init__(
        self, num_classes: int, *, compat: bool = False, smooth_regression: bool = False
    ) -> None:
        """Declare the heads.

        Args:
            num_classes: channels of the heat map.
            compat: train as the authors' code does: objects beyond the slots are no objects of the
                heat map either, and so become background. Results are read alike.
            smooth_regression: learn size and offset by a smooth L1 loss, which the paper found to
                cost 2.4 AP (section 6.1.1).
        """
        self.num_classes = num_classes
        self.max_drawn = MAX_OBJECTS if compat else None
        self.smooth_regression = smooth_regression
        self.heads = (
            Head(
                "heatmap",
                num_classes,
                activation=torch.sigmoid,
                initial_bias=HEATMAP_BIAS,
                unmirror=mirror,
                dense=True,
            ),
            Head("size", 2, loss_weight=0.1, unmirror=mirror),
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
            draw_ignored(targets["heatmap"], ignored, view)
        for slot, item in enumerate(islice(place(truth, view, grid), self.max_drawn)):
            column, row = item.cell
            draw_gaussian(targets["heatmap"][item.label], column, row, item.radius)
            if slot >= MAX_OBJECTS:
                continue
            targets["index"][slot] = row * grid[1] + column
            targets["mask"][slot] = True
            targets["size"][slot] = item.size
            targets["offset"][slot] = item.centre - item.centre.floor()
        return targets

    def counts(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Peaks, and coordinates of objects, or objects where the errors are smooth."""
        mask = targets["mask"]
        numbers = mask.sum() if self.smooth_regression else count_coordinates(targets["size"], mask)
        return {"heatmap": count_peaks(targets["heatmap"]), "size": numbers, "offset": numbers}

    def losses(
        self, maps: Maps, targets: Mapping[str, Tensor], counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """Focal loss of the heat map, L1 of size and offset in cells (eq. 1-3)."""
        index, mask = targets["index"], targets["mask"]
        counts = self.counts(targets) if counts is None else counts
        regression = masked_smooth_l1 if self.smooth_regression else masked_l1
        return {
            "heatmap": focal_loss(maps["heatmap"], targets["heatmap"], counts["heatmap"]),
            "size": regression(maps["size"], targets["size"], index, mask, counts["size"]),
            "offset": regression(maps["offset"], targets["offset"], index, mask, counts["offset"]),
        }

    def collect(self, values: Values, max_detections: int) -> dict[str, Tensor]:
        """Boxes in cells (paper, section 4), scores and labels; see `Task.collect`."""
        peaks = find_peaks(values["heatmap"], max_detections)
        boxes = read_boxes(values, peaks)
        return {"boxes": boxes, "scores": peaks.scores.float(), "labels": peaks.labels}

    def assemble(self, found: Mapping[str, Tensor], views: Sequence[View]) -> list[Detections2D]:
        """Boxes of each image in its own pixels; see `Task.assemble`."""
        return [
            Detections2D(
                view.boxes_to_image(found["boxes"][i]).float(),
                found["scores"][i],
                found["labels"][i],
            )
            for i, view in enumerate(views)
        ]
