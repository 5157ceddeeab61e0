"""Joints: their mirror images, and the pull of regressed joints to the peaks of joint heat maps."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor

from centernet_ros.structures import NUM_JOINTS
from centernet_ros.tasks.heatmap import Values, cell_points, channel_peaks

JOINT_NAMES = (
    "nose",
    *("left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)
"""COCO's names of the joints, in the order of the network's maps."""

LIMBS = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6)),
    *((5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
)
"""Pairs of joints that a drawn skeleton connects."""

MIRROR_ORDER = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Joint that each joint looks like in the mirrored image: left and right change places."""

MIN_SCORE = 0.1
"""Peaks of a joint heat map with at most this score attract no joint."""

MAX_DISTANCE = 0.3
"""How far a joint is pulled at most, as a share of the longer side of the person's box."""


class Side(Enum):
    """Where a joint or a limb is, as the person itself would say."""

    LEFT = "left"
    RIGHT = "right"
    MIDDLE = "middle"


def side_of(*joints: int) -> Side:
    """The side of a joint or of the limb between two joints; one that joins both is the middle."""
    sides = {name.partition("_")[0] for name in (JOINT_NAMES[joint] for joint in joints)}
    sides.discard("nose")
    return Side(sides.pop()) if len(sides) == 1 else Side.MIDDLE


def unmirror_joints(values: Tensor) -> Tensor:
    """Joint vectors (B, 34, H, W) of a mirrored image to those of the image itself."""
    flipped = values.flip(-1).reshape(len(values), NUM_JOINTS, 2, *values.shape[2:])
    ordered = torch.stack([flipped[:, joint] for joint in MIRROR_ORDER], dim=1)
    ordered[:, :, 0].neg_()
    return ordered.flatten(1, 2)


def unmirror_joint_heatmap(values: Tensor) -> Tensor:
    """Joint heat maps (B, 17, H, W) of a mirrored image to those of the image itself."""
    flipped = values.flip(-1)
    return torch.stack([flipped[:, joint] for joint in MIRROR_ORDER], dim=1)


def snap(joints: Tensor, boxes: Tensor, values: Values, count: int) -> tuple[Tensor, Tensor]:
    """Pull regressed joints to the peaks of the joint heat maps (paper, section 4.2).

    A joint goes to the nearest peak of its heat map when that peak scores more than 0.1, lies in
    the person's box and is not farther than 0.3 of the box's longer side (the paper has no such
    limit). Else it stays where it was regressed. A peak may serve several people.

    Args:
        joints: (B, K, 17, 2) regressed joints in cells.
        boxes: (B, K, 4) boxes of the people in cells.
        values: of `joint_heatmap` (B, 17, H, W) and `joint_offset` (B, 2, H, W).
        count: peaks of each joint heat map that are looked at.

    Returns:
        Joints (B, K, 17, 2) in cells, and scores (B, K, 17): that of the peak, or for a joint that
        stayed the heat map's value in its cell, which is 0 outside the map.
    """
    heatmap = values["joint_heatmap"]
    scores, indices = channel_peaks(heatmap, count)
    if scores.device.type == "cpu":
        # Most peaks are too weak to attract a joint; a GPU would have to be waited for to know.
        strong = int((scores > MIN_SCORE).sum(-1).max()) if scores.numel() else 0
        scores, indices = scores[..., :strong], indices[..., :strong]
    offsets = values.at("joint_offset", indices.flatten(1)).reshape(*indices.shape, 2)
    peaks = cell_points(indices, heatmap.shape[-1]) + offsets

    # (B, 17, K people, K peaks): where a peak is out of reach the distance is infinite.
    regressed = joints.transpose(1, 2)
    # Coordinate by coordinate: a sum over the last dimension takes ten times as long.
    x, y = (regressed.unsqueeze(3) - peaks.unsqueeze(2)).unbind(-1)
    distances = (x.square() + y.square()).sqrt()
    distances = distances.masked_fill(scores.unsqueeze(2) <= MIN_SCORE, torch.inf)
    if distances.shape[-1] == 0:
        return joints, _scores_at(heatmap, regressed).transpose(1, 2)
    distance, nearest = distances.min(dim=3)
    chosen = peaks.gather(2, nearest.unsqueeze(-1).expand(-1, -1, -1, 2))

    low, high = boxes[:, None, :, :2], boxes[:, None, :, 2:]
    reach = MAX_DISTANCE * (high - low).amax(-1)
    inside = ((chosen >= low) & (chosen <= high)).all(-1)
    snapped = inside & (distance <= reach)
    result = torch.where(snapped.unsqueeze(-1), chosen, regressed)
    result_scores = torch.where(snapped, scores.gather(2, nearest), _scores_at(heatmap, regressed))
    return result.transpose(1, 2), result_scores.transpose(1, 2)


def _scores_at(heatmap: Tensor, points: Tensor) -> Tensor:
    """Values (B, C, K) of the cells that hold the points (B, C, K, 2); 0 outside the map."""
    height, width = heatmap.shape[-2:]
    column, row = points.floor().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = (row * width + column).where(inside, torch.zeros_like(row))
    return heatmap.flatten(2).gather(2, index) * inside
