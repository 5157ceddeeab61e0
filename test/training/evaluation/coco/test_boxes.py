import json
import math

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_ros.structures import Detections2D
from training.evaluation.coco import evaluate_boxes

NAMES = ("pedestrian", "car", "cyclist")


def objects(*rows):
    """Detections of rows (x1, y1, x2, y2, score, label)."""
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections2D(values[:, :4], values[:, 4], values[:, 5].long())


NONE = objects()
CAR = (10.0, 10.0, 60.0, 50.0, 1.0, 1)


def test_perfect_results_and_a_class_without_truth():
    metrics = evaluate_boxes([objects(CAR)], [NONE], [objects(CAR)], NAMES)
    values = [metrics.ap, metrics.ap50, metrics.ap75, metrics.ap_medium, metrics.ar100]
    assert values == pytest.approx([1] * 5)
    assert math.isnan(metrics.ap_small)
    assert math.isnan(metrics.ap_large)
    assert metrics.per_class_ap["car"] == pytest.approx(1)
    assert math.isnan(metrics.per_class_ap["pedestrian"])


def test_known_cases():
    truth = objects(CAR, (100, 10, 150, 50, 1.0, 1))
    shifted = (10.0, 10.0, 60.0, 40.0, 0.9, 1)  # IoU 0.75 with CAR
    one = evaluate_boxes([truth], [NONE], [objects(shifted)], NAMES)
    # One of two found: precision 1 up to recall 0.5, which is 51 of the 101 recall points.
    assert one.ap50 == pytest.approx(51 / 101)
    # Right at the six thresholds 0.50 ... 0.75, wrong at the other four.
    assert one.ap == pytest.approx(51 / 101 * 0.6)
    # A false alarm with a better score halves the precision.
    alarm = objects(shifted, (200, 10, 250, 50, 0.95, 1))
    assert evaluate_boxes([truth], [NONE], [alarm], NAMES).ap50 == pytest.approx(51 / 101 / 2)


def test_a_wrong_class_is_wrong():
    result = objects((*CAR[:5], 2))
    metrics = evaluate_boxes([objects(CAR)], [NONE], [result], NAMES)
    assert metrics.ap50 == 0
    assert math.isnan(metrics.per_class_ap50["cyclist"])


def test_no_detection_at_all_is_zero():
    metrics = evaluate_boxes([objects(CAR), NONE], [NONE, NONE], [NONE, NONE], NAMES)
    assert metrics.ap == metrics.ap50 == metrics.ar100 == metrics.per_class_ap["car"] == 0


@pytest.mark.parametrize("images", [0, 1])
def test_no_truth_at_all_cannot_be_measured(images):
    metrics = evaluate_boxes([NONE] * images, [NONE] * images, [objects(CAR)] * images, NAMES)
    assert math.isnan(metrics.ap)
    assert all(math.isnan(value) for value in metrics.per_class_ap50.values())
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["ap"] is None
    assert "-" in metrics.table().splitlines()[1]


def test_ignored_regions_excuse_their_class_or_every_class():
    alarm = (200, 10, 210, 20, 0.99, 1)
    result = objects((*CAR[:4], 0.5, 1), alarm)
    for label, expected in ((1, 1.0), (-1, 1.0), (0, 0.5)):
        region = objects((190, 0, 300, 60, 1.0, label))
        metrics = evaluate_boxes([objects(CAR)], [region], [result], NAMES)
        assert metrics.ap50 == pytest.approx(expected), label


def test_nothing_is_printed(capsys):
    evaluate_boxes([objects(CAR)], [NONE], [objects(CAR)], NAMES)
    assert capsys.readouterr().out == ""


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="2 truths, 1 ignored and 1 results"):
        evaluate_boxes([NONE, NONE], [NONE], [NONE], NAMES)
    with pytest.raises(ValueError, match="label 3 in image 0"):
        evaluate_boxes([objects((*CAR[:5], 3))], [NONE], [NONE], NAMES)
    with pytest.raises(ValueError, match="label -1 in image 0"):
        evaluate_boxes([NONE], [NONE], [objects((*CAR[:5], -1))], NAMES)


def random_scene(rng):
    """Truth, ignored regions and results that are the truth moved, missed and invented."""
    count = int(rng.integers(0, 8))
    corners = rng.uniform(0, 500, (count, 2))
    sizes = rng.uniform(8, 140, (count, 2))
    labels = rng.integers(0, 3, count)
    boxes = np.concatenate([corners, corners + sizes], axis=1)
    crowd = rng.random(count) < 0.15
    found = rng.random(count) < 0.8
    moved = boxes[found] + rng.normal(0, 4, (int(found.sum()), 4))
    invented = rng.uniform(0, 400, (3, 2))
    moved = np.concatenate([moved, np.concatenate([invented, invented + 60], axis=1)])
    moved_labels = np.concatenate([labels[found], rng.integers(0, 3, 3)])

    def detections(box, label, score):
        return objects(*np.column_stack([box, score, label]).tolist())

    return (
        detections(boxes[~crowd], labels[~crowd], np.ones(int((~crowd).sum()))),
        detections(boxes[crowd], labels[crowd], np.ones(int(crowd.sum()))),
        detections(moved, moved_labels, rng.random(len(moved)).round(1)),
    )


def test_equal_to_pycocotools_used_directly(tmp_path):
    rng = np.random.default_rng(3)
    truths, ignored, results = zip(*(random_scene(rng) for _ in range(40)), strict=True)
    annotations, detections = [], []
    for image in range(40):
        for part, crowd in ((truths[image], 0), (ignored[image], 1)):
            for box, label in zip(part.boxes.double().numpy(), part.labels.tolist(), strict=True):
                xywh = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image + 100,
                        "category_id": [1, 3, 17][label],
                        "bbox": xywh,
                        "area": xywh[2] * xywh[3],
                        "iscrowd": crowd,
                    }
                )
        result = results[image]
        for k in range(len(result)):
            x1, y1, x2, y2 = result.boxes[k].double().tolist()
            detections.append(
                {
                    "image_id": image + 100,
                    "category_id": [1, 3, 17][int(result.labels[k])],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(result.scores[k]),
                }
            )
    path = tmp_path / "truth.json"
    categories = [{"id": i, "name": n} for i, n in zip([1, 3, 17], NAMES, strict=True)]
    images = [{"id": image + 100} for image in range(40)]
    path.write_text(
        json.dumps({"images": images, "categories": categories, "annotations": annotations})
    )
    coco = COCO(str(path))
    evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()

    metrics = evaluate_boxes(truths, ignored, results, NAMES)

    stats = evaluation.stats
    assert 0.1 < metrics.ap < 0.9
    ours = [metrics.ap, metrics.ap50, metrics.ap75]
    ours += [metrics.ap_small, metrics.ap_medium, metrics.ap_large, metrics.ar100]
    assert ours == pytest.approx([*stats[:6], stats[8]], abs=1e-12)
    for category, name in zip([1, 3, 17], NAMES, strict=True):
        evaluation.params.catIds = [category]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert metrics.per_class_ap[name] == pytest.approx(evaluation.stats[0], abs=1e-12)
        assert metrics.per_class_ap50[name] == pytest.approx(evaluation.stats[1], abs=1e-12)
