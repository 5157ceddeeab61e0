"""2D boxes as `vision_msgs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from centernet_ros.ros.outputs import Output
from centernet_ros.structures import Detections2D


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
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = class_names[label]
        hypothesis.hypothesis.score = score
        detection = Detection2D(header=header, results=[hypothesis], id=track)
        detection.bbox.center.position.x = (x1 + x2) / 2
        detection.bbox.center.position.y = (y1 + y2) / 2
        # A network may answer a negative size, which no subscriber expects.
        detection.bbox.size_x = max(0.0, x2 - x1)
        detection.bbox.size_y = max(0.0, y2 - y1)
        array.detections.append(detection)
    return array


OUTPUTS = (Output("detections_2d", Detection2DArray, to_messages),)
