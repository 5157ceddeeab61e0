import json
import math

import pytest
import torch

from centernet_ros.structures import Detections2D, Poses
from training.evaluation.coco import evaluate_boxes, evaluate_poses

NONE = Detections2D.empty()
BOX = (100.0, 100.0, 200.0, 300.0)
SIGMA_NOSE = 0.026


def person(shift=0.0, *, joint=0, box=BOX, score=1.0, unlabelled=()):
    """A person whose joints stand on a diagonal of the box; one of them is shifted."""
    keypoints = torch.stack(
        [torch.linspace(box[0], box[2], 17), torch.linspace(box[1], box[3], 17)]
    )
    keypoints = keypoints.T[None].clone()
    keypoints[0, joint, 0] += shift
    visible = torch.ones(1, 17)
    visible[0, list(unlabelled)] = 0
    return Poses(torch.tensor([box]), torch.tensor([score]), torch.tensor([0]), keypoints, visible)


def test_perfect_results():
    metrics = evaluate_poses([person()], [NONE], [person()])
    values = [metrics.ap, metrics.ap50, metrics.ap75, metrics.ap_large, metrics.ar, metrics.ar50]
    assert values == pytest.approx([1] * 6)
    assert math.isnan(metrics.ap_medium)
    assert metrics.per_class["person"].ap == pytest.approx(1)


def test_similarity_falls_with_the_distance_and_grows_with_the_area():
    """One labelled joint, the nose: OKS = exp(-d^2 / (2 area (2 sigma)^2))."""
    others = range(1, 17)
    truth = person(unlabelled=others)
    for area, oks in ((100 * 200, 0.62), (100 * 200 / 4, 0.93)):
        distance = math.sqrt(-2 * area * (2 * SIGMA_NOSE) ** 2 * math.log(oks))
        metrics = evaluate_poses(
            [truth], [NONE], [person(distance)], areas=[torch.tensor([float(area)])]
        )
        # Right at the thresholds 0.50, 0.55, ... up to the similarity.
        right = math.floor((oks - 0.5) / 0.05) + 1
        assert metrics.ap == pytest.approx(right / 10)
        assert metrics.ar == pytest.approx(right / 10)


def test_without_areas_half_of_the_box_is_taken():
    truth, result = person(unlabelled=range(1, 17)), person(6.0)
    half = evaluate_poses([truth], [NONE], [result], areas=[torch.tensor([10000.0])])
    assert evaluate_poses([truth], [NONE], [result]).ap == half.ap
    whole = evaluate_poses([truth], [NONE], [result], areas=[torch.tensor([20000.0])])
    assert 0 < half.ap < whole.ap < 1


def test_joints_without_label_do_not_count():
    result = person(500.0, joint=5)
    assert evaluate_poses([person()], [NONE], [result]).ap < 1
    assert evaluate_poses([person(unlabelled=[5])], [NONE], [result]).ap == pytest.approx(1)


def test_people_without_joints_and_ignored_regions_excuse_results():
    far = (400.0, 100.0, 500.0, 300.0)
    results = Poses.concatenate([person(box=far, score=0.9), person(score=0.8)])
    assert evaluate_poses([person()], [NONE], [results]).ap == pytest.approx(0.5)
    blank = Poses.concatenate([person(), person(box=far, unlabelled=range(17))])
    assert evaluate_poses([blank], [NONE], [results]).ap == pytest.approx(1)
    for label in (0, -1):
        region = Detections2D(torch.tensor([far]), torch.ones(1), torch.tensor([label]))
        assert evaluate_poses([person()], [region], [results]).ap == pytest.approx(1)


def test_nothing_found_and_nothing_to_find():
    assert evaluate_poses([person()], [NONE], [Poses.empty()]).ap == 0
    metrics = evaluate_poses([Poses.empty()], [NONE], [person()])
    assert math.isnan(metrics.ap)
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["ap"] is None
    assert metrics.table().splitlines()[1].split() == ["key", "points", *["-"] * 7]


def test_areas_of_boxes_decide_what_is_small():
    truth = Detections2D(torch.tensor([BOX]), torch.ones(1), torch.tensor([0]))
    metrics = evaluate_boxes([truth], [NONE], [truth], ["car"])
    assert (metrics.ap_large, math.isnan(metrics.ap_small)) == (pytest.approx(1), True)
    metrics = evaluate_boxes([truth], [NONE], [truth], ["car"], [torch.tensor([500.0])])
    assert (metrics.ap_small, math.isnan(metrics.ap_large)) == (pytest.approx(1), True)


def test_bad_input_is_named(capsys):
    with pytest.raises(ValueError, match="1 truths, 1 ignored and 2 results"):
        evaluate_poses([person()], [NONE], [person(), person()])
    with pytest.raises(ValueError, match="areas: each object of each image needs one"):
        evaluate_poses([person()], [NONE], [person()], areas=[torch.ones(2)])
    assert capsys.readouterr().out == ""
