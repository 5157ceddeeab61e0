"""Metrics and result files against those of the authors' programs."""

import numpy as np
import pytest
import torch

from centernet_ros.class_names import COCO_CATEGORY_IDS
from centernet_ros.detect.coco import coco_results
from centernet_ros.kitti import read_objects
from centernet_ros.structures import Detections2D, Poses
from training.evaluation.kitti import KittiFrame, evaluate_kitti
from training.evaluation.voc import (
    VocClass,
    all_point_ap,
    eleven_point_ap,
    evaluate_classes,
    precision_recall,
)

KITTI_METRICS = {
    # Name in the authors' program: metric and whether it uses the looser overlap.
    "detection": ("2d", 0),
    "orientation": ("aos", 0),
    "detection_ground": ("bev", 1),
    "detection_3d": ("3d", 1),
}
OVERLAPS = {"car": (0.7, 0.5), "pedestrian": (0.5, 0.25), "cyclist": (0.5, 0.25)}


def test_kitti(reference):
    document = reference.json("eval/kitti_eval.json")
    assert set(document["gt"]) == set(document["det"])
    frames = [
        KittiFrame(name, read_objects(text), read_objects(document["det"][name]))
        for name, text in document["gt"].items()
    ]
    metrics = evaluate_kitti(frames)
    assert document["AP"]
    assert {f"stats_{name}.txt" for name in document["AP"]} == set(document["stats"])
    for name, recorded in document["AP"].items():
        kind, _, rest = name.partition("_")
        metric, loose = KITTI_METRICS[rest]
        entry = metrics.entry(kind.capitalize(), metric, OVERLAPS[kind][loose])
        # The program prints float32 sums, and samples with six digits.
        assert list(entry.r11) == pytest.approx(recorded, abs=2e-5)
        own = [c.orientations() if metric == "aos" else c.precisions() for c in entry.curves]
        np.testing.assert_allclose(own, document["stats"][f"stats_{name}.txt"], rtol=0, atol=1e-6)


def voc_case(document):
    images = list(document["gt_xyxy_difficult_1based"])
    truths = [
        (image, *row)
        for image, name in enumerate(images)
        for row in document["gt_xyxy_difficult_1based"][name]
    ]
    truths = np.array(truths, dtype=np.float64)
    results = document["det_image_score_xyxy_1based"]
    return VocClass(
        truth_images=truths[:, 0].astype(np.int64),
        truth_boxes=truths[:, 1:5],
        difficult=truths[:, 5] > 0,
        images=np.array([images.index(row[0]) for row in results]),
        boxes=np.array([row[2:] for row in results], dtype=np.float64),
        scores=np.array([row[1] for row in results], dtype=np.float64),
    )


def test_voc(reference):
    document = reference.json("eval/voc_eval.json")
    item, recorded = voc_case(document), document["result"]
    recall, precision = np.array(recorded["rec"]), np.array(recorded["prec"])
    assert eleven_point_ap(recall, precision) == pytest.approx(recorded["ap_07"], abs=1e-9)
    assert all_point_ap(recall, precision) == pytest.approx(recorded["ap_area"], abs=1e-9)

    # Equal scores have no order in the authors' program, but the last of them knows them all.
    own_recall, own_precision = precision_recall(item)
    ordered = -np.sort(-item.scores)
    last = np.append(ordered[1:] != ordered[:-1], True)
    np.testing.assert_allclose(own_recall[last], recall[last], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        np.nan_to_num(own_precision[last]), precision[last], rtol=0, atol=1e-9
    )
    metrics = evaluate_classes({"class": item})
    order_matters = not np.allclose(own_recall, recall)
    tolerance = 2e-3 if order_matters else 1e-6
    assert metrics.ap07["class"] == pytest.approx(recorded["ap_07"], abs=tolerance)
    assert metrics.ap["class"] == pytest.approx(recorded["ap_area"], abs=tolerance)


def rows_of(by_class, width):
    """Labels and rows of one image; classes of the files count from 1."""
    pairs = [(int(name) - 1, row) for name, rows in by_class.items() for row in rows]
    values = np.array([row for _, row in pairs], dtype=np.float32).reshape(-1, width)
    return torch.tensor([label for label, _ in pairs], dtype=torch.int64), torch.from_numpy(values)


def entries_of(document, results, categories):
    images = [int(name) for name in document["results"]]
    return [
        entry
        for image, result in zip(images, results, strict=True)
        for entry in coco_results(image, result, categories, score_decimals=2)
    ]


def test_records_of_boxes(reference):
    document = reference.json("eval/coco_format.json")["ctdet"]
    results = []
    for by_class in document["results"].values():
        labels, values = rows_of(by_class, 5)
        results.append(Detections2D(values[:, :4], values[:, 4], labels))
    # Whatever their order, they are written class by class.
    for given in (results, [result[(-result.labels).argsort(stable=True)] for result in results]):
        assert entries_of(document, given, COCO_CATEGORY_IDS) == document["coco_json"]


def test_records_of_poses(reference):
    document = reference.json("eval/coco_format.json")["multi_pose"]
    results = []
    for by_class in document["results"].values():
        labels, values = rows_of(by_class, 39)
        joints = values[:, 5:].reshape(-1, 17, 2)
        scores = torch.ones(len(values), 17)
        results.append(Poses(values[:, :4], values[:, 4], labels, joints, scores))
    assert entries_of(document, results, [1]) == document["coco_json"]
