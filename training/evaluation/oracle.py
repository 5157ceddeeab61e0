"""Error analysis: results as if some of a network's maps were perfect (paper, appendix E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from centernet_ros.structures import Detections2D, View
from centernet_ros.tasks.base import MAX_DETECTIONS, Head, Maps, Task

Result = TypeVar("Result", bound=Detections2D)


def decode_with_oracle(
    task: Task[Result],
    maps: Maps,
    targets: Mapping[str, Tensor],
    views: Sequence[View],
    *,
    perfect: Sequence[str],
    max_detections: int = MAX_DETECTIONS,
) -> list[Result]:
    """Results of each image with some maps replaced by those of the ground truth.

    Args:
        task: how maps are read.
        maps: what the network answered, raw, (B, C, H, W).
        targets: `encode`'s targets of the same images, stacked to a batch.
        views: how each image lies on the input.
        perfect: heads to replace, such as `size`, `heatmap` and `offset`.
        max_detections: results per image at most.

    Raises:
        ValueError: The task has no such head.
    """
    heads = {head.name: head for head in task.heads}
    values = task.activate(maps)
    for name in perfect:
        if name not in heads:
            raise ValueError(f"no head {name!r} for an oracle; known: {', '.join(heads)}")
        values[name] = _ideal(heads[name], targets, values[name])
    return task.read(values, views, max_detections)


def _ideal(head: Head, targets: Mapping[str, Tensor], predicted: Tensor) -> Tensor:
    """Values (B, C, H, W) of a head as the ground truth has them.

    Only the cells of objects have a value. As in the authors' analysis every other cell takes that
    of the nearest object, so that a peak beside the right cell is served too; where an image shows
    no object, the prediction stays.
    """
    target = targets[head.name].to(predicted)
    if target.shape == predicted.shape:
        return target
    kind = "joint_" if head.name == "joint_offset" else ""
    ideal = predicted.clone()
    for image, present in enumerate(targets[f"{kind}mask"]):
        if present.any():
            cells = targets[f"{kind}index"][image][present].to(predicted.device)
            nearest = _nearest(cells, predicted.shape[2], predicted.shape[3])
            ideal[image] = target[image][present][nearest].permute(2, 0, 1)
    return ideal


def _nearest(cells: Tensor, height: int, width: int) -> Tensor:
    """For each cell (H, W) of the grid the position in `cells` (K,) of the nearest one.

    Distances count steps along rows and columns, as the authors' search does.
    """
    across = (torch.arange(width, device=cells.device) - (cells % width)[:, None]).abs()
    down = (torch.arange(height, device=cells.device) - (cells // width)[:, None]).abs()
    return (down[:, :, None] + across[:, None]).argmin(dim=0)
