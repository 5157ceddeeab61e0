"""COCO's result files against those of the authors."""

import numpy as np
import pytest
import torch

from centernet_ros.class_names import COCO_CLASSES, POSE_CLASSES
from centernet_ros.detect.coco import category_ids, coco_results
from centernet_ros.structures import Detections2D, Poses


@pytest.mark.parametrize("task", ["ctdet", "multi_pose"])
def test_coco_results(reference, task):
    document = reference.json("eval/coco_format.json")[task]
    assert document["coco_json"]
    class_names = COCO_CLASSES if task == "ctdet" else POSE_CLASSES
    entries = []
    for image, by_class in document["results"].items():
        rows = [(int(label) - 1, row) for label, rows in by_class.items() for row in rows]
        labels = torch.tensor([label for label, _ in rows], dtype=torch.int64)
        columns = 5 if task == "ctdet" else 39
        values = np.array([row for _, row in rows], np.float32).reshape(-1, columns)
        numbers = torch.from_numpy(values)
        results = Detections2D(numbers[:, :4], numbers[:, 4], labels)
        if task == "multi_pose":
            results = Poses(
                results.boxes,
                results.scores,
                labels,
                keypoints=numbers[:, 5:].reshape(-1, 17, 2),
                keypoint_scores=torch.ones(len(numbers), 17),
            )
        categories = category_ids(class_names, None)
        entries += coco_results(int(image), results, categories, score_decimals=2)
    assert entries == document["coco_json"]
