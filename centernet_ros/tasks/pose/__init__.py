"""People with joints: vectors to the joints read at the centre, pulled to joint heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from centernet_ros.structures import NUM_JOINTS, Detections2D, Poses, View
from centernet_ros.tasks.base import HEATMAP_BIAS, Counts, Head, Maps, Task, mirror
from centernet_ros.tasks.focal import count_peaks, focal_loss
from centernet_ros.tasks.heatmap import (
    Placed,
    Values,
    count_coordinates,
    draw_gaussian,
    draw_ignored,
    find_peaks,
    masked_l1,
    place,
    read_boxes,
)
from centernet_ros.tasks.pose.joints import (
    MIRROR_ORDER,
    snap,
    unmirror_joint_heatmap,
    unmirror_joints,
)

MAX_OBJECTS = 32
"""Slots of a training image for people; of further people only the heat maps tell."""

_SLOTS = {
    "size": ("index", "mask"),
    "joints": ("index", "joints_mask"),
    "offset": ("index", "mask"),
    "joint_offset": ("joint_index", "joint_mask"),
}
"""Targets that tell the cells of a head's values, and which of them count."""


class Pose(Task[Poses]):
    """The authors' `multi_pose`."""

    def __init__(
        self, num_classes: int = 1, *, compat: bool = False, skip_unlabelled: bool | None = None
    ) -> None:
        """Declare the heads.

        Args:
            num_classes: channels of the heat map, 1 where all are people.
            compat: train as the authors' code does; the default of `skip_unlabelled`. People beyond
                the slots are then on no heat map either, and so become background. Results are read
                alike.
            skip_unlabelled: leave out the size and offset of people without any labelled joint. The
                authors do, though such a person has a box and is an object of the heat map.
        """
        self.num_classes = num_classes
        self.max_drawn = MAX_OBJECTS if compat else None
        self.skip_unlabelled = compat if skip_unlabelled is None else skip_unlabelled
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
            Head("joints", 2 * NUM_JOINTS, unmirror=unmirror_joints),
            Head("offset", 2),
            Head(
                "joint_heatmap",
                NUM_JOINTS,
                activation=torch.sigmoid,
                initial_bias=HEATMAP_BIAS,
                unmirror=unmirror_joint_heatmap,
                dense=True,
            ),
            # Read at the peaks of all joints: by then computing all cells takes as long.
            Head("joint_offset", 2, dense=True),
        )

    def encode(
        self,
        truth: Poses,
        view: View,
        grid: tuple[int, int],
        ignored: Detections2D | None = None,
    ) -> dict[str, Tensor]:
        """Targets of one image, see `Task.encode`.

        Joints that are not labelled or lie outside the grid are left out. In a mirrored view left
        and right joints change places, as the input shows them.

        Returns:
            heatmap: (C, H, W).
            index: (32,) int64 cell of each person.
            mask: (32,) bool, whether the slot holds a person.
            size: (32, 2) width, height in cells.
            offset: (32, 2) x, y from the cell to the centre, in cells.
            joints: (32, 34) x, y from the cell to each joint, in cells.
            joints_mask: (32, 34) bool, which of them count.
            joint_heatmap: (17, H, W).
            joint_index: (544,) int64 cell of each joint of each person.
            joint_mask: (544,) bool, which of them count.
            joint_offset: (544, 2) x, y from the cell to the joint, in cells.
        """
        joints = MAX_OBJECTS * NUM_JOINTS
        targets = {
            "heatmap": torch.zeros(self.num_classes, *grid),
            "index": torch.zeros(MAX_OBJECTS, dtype=torch.int64),
            "mask": torch.zeros(MAX_OBJECTS, dtype=torch.bool),
            "size": torch.zeros(MAX_OBJECTS, 2),
            "offset": torch.zeros(MAX_OBJECTS, 2),
            "joints": torch.zeros(MAX_OBJECTS, 2 * NUM_JOINTS),
            "joints_mask": torch.zeros(MAX_OBJECTS, 2 * NUM_JOINTS, dtype=torch.bool),
            "joint_heatmap": torch.zeros(NUM_JOINTS, *grid),
            "joint_index": torch.zeros(joints, dtype=torch.int64),
            "joint_mask": torch.zeros(joints, dtype=torch.bool),
            "joint_offset": torch.zeros(joints, 2),
        }
        if ignored is not None:
            draw_ignored(targets["heatmap"], ignored, view)
        keypoints, labelled = view.to_grid(truth.keypoints).float(), truth.keypoint_scores > 0
        if view.mirrored:
            order = list(MIRROR_ORDER)
            keypoints, labelled = keypoints[:, order], labelled[:, order]
        for slot, item in enumerate(islice(place(truth, view, grid), self.max_drawn)):
            column, row = item.cell
            draw_gaussian(targets["heatmap"][item.label], column, row, item.radius)
            known = labelled[item.row]
            self._draw_joints(targets, slot, item, keypoints[item.row], known)
            if slot >= MAX_OBJECTS:
                continue
            targets["index"][slot] = row * grid[1] + column
            targets["mask"][slot] = bool(known.any()) or not self.skip_unlabelled
            targets["size"][slot] = item.size
            targets["offset"][slot] = item.centre - item.centre.floor()
        return targets

    @staticmethod
    def _draw_joints(
        targets: dict[str, Tensor], slot: int, person: Placed, points: Tensor, known: Tensor
    ) -> None:
        """Fill in the labelled joints (17, 2), in cells, of the person of a slot.

        Of people beyond the slots they are on the heat maps alone.
        """
        height, width = targets["joint_heatmap"].shape[1:]
        on_grid = ((points >= 0) & (points < points.new_tensor([width, height]))).all(-1)
        for joint in (known & on_grid).nonzero().flatten().tolist():
            point, cell = points[joint], points[joint].floor()
            column, row = (int(value) for value in cell)
            # The joint's Gaussian is as wide as that of the person's centre.
            draw_gaussian(targets["joint_heatmap"][joint], column, row, person.radius)
            if slot >= MAX_OBJECTS:
                continue
            pair = slice(2 * joint, 2 * joint + 2)
            targets["joints"][slot, pair] = point - person.centre.floor()
            targets["joints_mask"][slot, pair] = True
            entry = slot * NUM_JOINTS + joint
            targets["joint_index"][entry] = row * width + column
            targets["joint_mask"][entry] = True
            targets["joint_offset"][entry] = point - cell

    def counts(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Peaks of the heat maps, and coordinates of people and of labelled joints."""
        peaks = {name: count_peaks(targets[name]) for name in ("heatmap", "joint_heatmap")}
        coordinates = {
            name: count_coordinates(targets[name], targets[mask])
            for name, (_, mask) in _SLOTS.items()
        }
        return {**peaks, **coordinates}

    def losses(
        self, maps: Maps, targets: Mapping[str, Tensor], counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """Focal loss of the heat maps, L1 of the others in cells (paper, section 4.2)."""
        counts = self.counts(targets) if counts is None else counts
        peaks = {
            name: focal_loss(maps[name], targets[name], counts[name])
            for name in ("heatmap", "joint_heatmap")
        }
        values = {
            name: masked_l1(maps[name], targets[name], targets[index], targets[mask], counts[name])
            for name, (index, mask) in _SLOTS.items()
        }
        return {**peaks, **values}

    def collect(self, values: Values, max_detections: int) -> dict[str, Tensor]:
        """Boxes and joints in cells, their scores, labels; see `Task.collect` and `snap`."""
        peaks = find_peaks(values["heatmap"], max_detections)
        boxes = read_boxes(values, peaks)
        vectors = values.at("joints", peaks.indices)
        vectors = vectors.reshape(*vectors.shape[:2], NUM_JOINTS, 2)
        # Joints were trained from the cell and not from the sub-cell centre.
        joints, joint_scores = snap(
            vectors + peaks.points.unsqueeze(2), boxes, values, max_detections
        )
        return {
            "boxes": boxes,
            "joints": joints,
            "joint_scores": joint_scores.float(),
            "scores": peaks.scores.float(),
            "labels": peaks.labels,
        }

    def assemble(self, found: Mapping[str, Tensor], views: Sequence[View]) -> list[Poses]:
        """People of each image in its own pixels; see `Task.assemble`."""
        results = []
        for i, view in enumerate(views):
            order = list(MIRROR_ORDER) if view.mirrored else list(range(NUM_JOINTS))
            results.append(
                Poses(
                    boxes=view.boxes_to_image(found["boxes"][i]).float(),
                    scores=found["scores"][i],
                    labels=found["labels"][i],
                    keypoints=view.to_image(found["joints"][i]).float()[:, order],
                    keypoint_scores=found["joint_scores"][i][:, order],
                )
            )
        return results
