"""One result out of several of the same image: soft-NMS of each class, then the best of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from centernet_ros.structures import Detections2D

Result = TypeVar("Result", bound=Detections2D)
Floats = NDArray[np.float32]

SIGMA = 0.5
"""Width of the Gaussian by which an overlap lowers a score (the authors' value)."""

SCORE_FLOOR = 1e-3
"""Boxes whose score falls below it are dropped (the authors' value)."""


def gaussian_decay(overlaps: Floats) -> Floats:
    """Factors of the scores of boxes that overlap a better one by these IoU (Bodla et al. 2017)."""
    return np.asarray(np.exp(-(overlaps * overlaps) / SIGMA), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SoftNms:
    """Boxes in the order in which soft-NMS leaves them.

    Attributes:
        rows: (N,) row of the box in the input.
        companions: (N,) row of what belongs to the box, as its joints. It differs from `rows` in
            stale rows alone.
        scores: (N,) float32, lowered.
        count: boxes that are left, the first ones; the rows after them are stale.
    """

    rows: Tensor
    companions: Tensor
    scores: Tensor
    count: int


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    *,
    decay: Callable[[Floats], Floats] = gaussian_decay,
    floor: float = SCORE_FLOOR,
) -> SoftNms:
    """Lower the scores of boxes that overlap better ones.

    A box whose score falls below the floor is dropped: the last one takes its row and the number
    of boxes shrinks. What the last one leaves behind in its old row, with the score it had at that
    moment, and with the companions of the dropped box, is stale. The authors take stale rows for
    results.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels, on the CPU.
        scores: (N,).
        decay: overlaps (IoU) with a better box to the factors of the scores.
        floor: least score that is kept. A box that overlaps no better one stays in any case.
    """
    corners = boxes.float().numpy()
    values = scores.float().numpy().copy()
    rows = np.arange(len(values))
    companions = rows.copy()
    count = len(values)
    best = 0
    while best < count:
        highest = best + int(values[best:count].argmax())
        for column in (rows, companions, values):
            column[[best, highest]] = column[[highest, best]]
        overlaps = overlaps_with(corners[rows[best]], corners[rows])
        decayed = values * decay(overlaps)
        dropped = (overlaps > 0) & (decayed < floor)
        best += 1
        if not dropped[best:count].any():
            values[best:count] = decayed[best:count]
            continue
        slot = best
        while slot < count:
            values[slot] = decayed[slot]
            if not dropped[slot]:
                slot += 1
                continue
            count -= 1
            moved: tuple[NDArray[Any], ...] = (rows, values, decayed, dropped)
            for column in moved:
                column[slot] = column[count]
            companions[[slot, count]] = companions[[count, slot]]
    return SoftNms(
        torch.from_numpy(rows), torch.from_numpy(companions), torch.from_numpy(values), count
    )


def overlaps_with(box: Floats, boxes: Floats) -> Floats:
    """IoU (N,) of a box (4,) with boxes (N, 4) whose edges are pixels that belong to them.

    NOTE: So a side is x2 - x1 + 1 pixels long, the authors' (and Pascal VOC's) convention.
    """
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]) + 1
    common = np.where((sides > 0).all(1), sides[:, 0] * sides[:, 1], np.float32(0))
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    area = (box[2] - box[0] + 1) * (box[3] - box[1] + 1)
    union = np.where(common > 0, area + areas - common, np.float32(1))
    return np.asarray(common / union, np.float32)


def merge(parts: Sequence[Result], *, keep_stale_rows: bool) -> Result:
    """Results of one image at several scales as one, by soft-NMS of each class, best score first.

    Args:
        parts: at least one result; its own overlapping boxes are treated like those of others.
        keep_stale_rows: also give the stale rows, see `soft_nms`.
    """
    together = type(parts[0]).concatenate(parts)
    merged = []
    for label in sorted(set(together.labels.tolist())):
        objects = together[together.labels == label]
        left = soft_nms(objects.boxes, objects.scores)
        count = len(objects) if keep_stale_rows else left.count
        merged.append(
            dataclasses.replace(
                objects[left.companions[:count]],
                boxes=objects.boxes[left.rows[:count]],
                scores=left.scores[:count],
            )
        )
    result = type(parts[0]).concatenate(merged)
    return result[result.scores.argsort(descending=True, stable=True)]


def keep_best(results: Result, limit: int) -> Result:
    """The best `limit` objects, and those that score as well as the last of them."""
    if len(results) <= limit:
        return results
    if limit == 0:
        return results[:0]
    lowest = results.scores.topk(limit).values[-1]
    return results[results.scores >= lowest]
