"""2D boxes as `vision_msgs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

from centernet_ros.ros.building import builder
from centernet_ros.ros.outputs import Output
from centernet_ros.structures import Detections2D

_point = builder(Point2D, "x", "y")
_pose = builder(Pose2D, "position")
_box = builder(BoundingBox2D, "center", "size_x", "size_y")
_class = builder(ObjectHypothesis, "class_id", "score")
_hypothesis = builder(ObjectHypothesisWithPose, "hypothesis")
_detection = builder(Detection2D, "header", "results", "bbox", "id")


def to_messages(
    detections: Detections2D, class_names: Sequence[str], header: Any, ids: Sequence[str] = ()
) -> Detection2DArray:
    """All boxes of one image, also when there is none, under the image's own header.

    Boxes are in pixels of the camera's image. Every detection has one hypothesis with the class
    name and the score; its pose stays at the default, as a 2D box has none. `id` is the number of
    the object's track, empty where nothing tracks.
    """
    array = Detection2DArray(header=header)
    rows = zip(
        detections.boxes.tolist(),
        detections.scores.tolist(),
        detections.labels.tolist(),
        ids or [""] * len(detections),
        strict=True,
    )
    for (x1, y1, x2, y2), score, label, track in rows:
        centre = _pose(_point((x1 + x2) / 2, (y1 + y2) / 2))
        # A network may answer a negative size, which no subscriber expects.
        box = _box(centre, max(0.0, x2 - x1), max(0.0, y2 - y1))
        hypothesis = _hypothesis(_class(class_names[label], score))
        array.detections.append(_detection(header, [hypothesis], box, track))
    return array


def from_messages(array: Detection2DArray, class_names: Sequence[str]) -> Detections2D:
    """The results of an array, in its order: the reverse of `to_messages`.

    Raises:
        ValueError: A detection is of another class, or of none.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    rows, boxes = [], []
    for detection in array.detections:
        best = detection.results[0].hypothesis if detection.results else None
        if best is None or best.class_id not in labels:
            found = "none" if best is None else repr(best.class_id)
            raise ValueError(f"class {found} of a detection, known: {', '.join(class_names)}")
        rows.append((labels[best.class_id], best.score))
        centre, box = detection.bbox.center.position, detection.bbox
        left, top = centre.x - box.size_x / 2, centre.y - box.size_y / 2
        boxes.append((left, top, left + box.size_x, top + box.size_y))
    return Detections2D(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor([score for _, score in rows], dtype=torch.float32),
        labels=torch.tensor([label for label, _ in rows], dtype=torch.int64),
    )


OUTPUTS = (Output("detections_2d", Detection2DArray, to_messages),)
