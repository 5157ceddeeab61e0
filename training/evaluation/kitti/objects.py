"""All objects of all frames in arrays, as the evaluation works on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from centernet_ros.kitti import DONT_CARE, KittiObject
from centernet_ros.structures import Detections2D, Detections3D

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

NO_ANGLE = -10.0
"""KITTI's alpha of an object whose orientation is unknown."""

NO_PLACE = -1000.0
"""KITTI's coordinate of an object whose place in space is unknown."""

ALWAYS_IGNORED = 3
"""KITTI's occlusion "unknown", which no difficulty admits."""


@dataclass(frozen=True)
class KittiFrame:
    """One image of an evaluation.

    Attributes:
        name: what an error message calls it.
        truths: labelled objects of all kinds in the order of the label file, with Van, DontCare and
            all others: some of them excuse results, and their order decides.
        results: what was found, with scores of any range; equal scores rank in their order here.
    """

    name: str
    truths: Sequence[KittiObject]
    results: Sequence[KittiObject]


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of all frames, ordered by frame and within a frame as given, float64.

    Attributes:
        frames: (N,) index of the frame.
        kinds: (N,) type in lower case.
        truncated: (N,).
        occluded: (N,).
        alphas: (N,) radians.
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        solids: (N, 7) height, width, length, x, y, z, yaw in metres and radians.
        scores: (N,) 0 where there is none.
    """

    frames: Indices
    kinds: NDArray[np.str_]
    truncated: Array
    occluded: Indices
    alphas: Array
    boxes: Array
    solids: Array
    scores: Array


def gather(names: Sequence[str], objects: Sequence[Sequence[KittiObject]]) -> Objects:
    """Objects of all frames; `names` are those of the frames.

    Raises:
        ValueError: A number is not finite; the message names the frame.
    """
    flat = [item for items in objects for item in items]
    gathered = Objects(
        frames=np.repeat(np.arange(len(objects)), [len(items) for items in objects]),
        kinds=np.array([item.kind.lower() for item in flat], dtype=np.str_),
        truncated=_floats([item.truncated for item in flat]),
        occluded=np.array([item.occluded for item in flat], dtype=np.int64),
        alphas=_floats([item.alpha for item in flat]),
        boxes=_floats([item.box for item in flat], 4),
        solids=np.hstack(
            [
                _floats([item.dimensions for item in flat], 3),
                _floats([item.location for item in flat], 3),
                _floats([item.yaw for item in flat], 1),
            ]
        ),
        scores=_floats([0.0 if item.score is None else item.score for item in flat]),
    )
    for values in vars(gathered).values():
        if values.dtype == np.float64 and not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise ValueError(f"{names[gathered.frames[row]]}: no finite number in {flat[row]}")
    return gathered


def _floats(values: Sequence[object], *shape: int) -> Array:
    return np.array(values, dtype=np.float64).reshape(-1, *shape)


def kitti_objects(
    detections: Detections2D,
    class_names: Sequence[str],
    *,
    truncated: Iterable[float] | None = None,
    occluded: Iterable[int] | None = None,
) -> list[KittiObject]:
    """Results or ground truth of one image as KITTI's objects.

    Args:
        detections: of `Detections3D` everything is taken; others have boxes only, which KITTI's
            evaluation recognises: orientation, ground and space are then not measured.
        class_names: name of each label.
        truncated: share of each object outside the image; by default 0.
        occluded: KITTI's degree of occlusion of each object; by default 0.
    """
    count = len(detections)
    unknown = [-1.0] * 3 + [NO_PLACE] * 3 + [NO_ANGLE]
    solids, alphas = [unknown] * count, [NO_ANGLE] * count
    if isinstance(detections, Detections3D):
        places = (detections.dimensions, detections.locations, detections.yaws.unsqueeze(1))
        solids = torch.cat(places, dim=1).tolist()
        alphas = detections.alphas.tolist()
    rows = zip(
        detections.labels.tolist(),
        [0.0] * count if truncated is None else truncated,
        [0] * count if occluded is None else occluded,
        alphas,
        detections.boxes.tolist(),
        solids,
        detections.scores.tolist(),
        strict=True,
    )
    return [
        KittiObject(
            class_names[label],
            truncated=float(outside),
            occluded=int(hidden),
            alpha=alpha,
            box=tuple(box),
            dimensions=tuple(solid[:3]),
            location=tuple(solid[3:6]),
            yaw=solid[6],
            score=score,
        )
        for label, outside, hidden, alpha, box, solid, score in rows
    ]


def ignored_objects(ignored: Detections2D, class_names: Sequence[str]) -> list[KittiObject]:
    """Regions of an image where results do not count, as KITTI's objects.

    A region of every class (label -1) becomes a DontCare region, one of a single class an object of
    unknown occlusion, which excuses one result in the image. Neither excuses one that stands on the
    ground.
    """
    everywhere = ignored.labels < 0
    regions = Detections2D(
        ignored.boxes[everywhere], ignored.scores[everywhere], ignored.labels[everywhere] * 0
    )
    single = ignored[~everywhere]
    return [
        *kitti_objects(regions, [DONT_CARE]),
        *kitti_objects(single, class_names, occluded=[ALWAYS_IGNORED] * len(single)),
    ]
