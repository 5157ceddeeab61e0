"""Thresholds of classes, classes that are left out, and numbers that are none."""

import math

import pytest
import torch

from centernet_ros.ros.selection import least_scores, select
from centernet_ros.structures import Detections2D

NAMES = ("pedestrian", "car", "traffic light")


def found(*scores_and_labels, boxes=None):
    scores = torch.tensor([score for score, _ in scores_and_labels])
    labels = torch.tensor([label for _, label in scores_and_labels], dtype=torch.int64)
    return Detections2D(torch.ones(len(scores), 4) if boxes is None else boxes, scores, labels)


def test_a_class_may_have_its_own_threshold():
    least = least_scores(NAMES, 0.3, ("car: 0.6", "traffic light:1e-1", ""), ("",))
    assert least.tolist() == pytest.approx([0.3, 0.6, 0.1])


def test_only_chosen_classes_are_published():
    least = least_scores(NAMES, 0.3, ("car: 0.6",), ("car", "traffic light"))
    assert least.tolist() == pytest.approx([math.inf, 0.6, 0.3])


@pytest.mark.parametrize(
    ("thresholds", "classes", "reason"),
    [
        (("bus: 0.4",), (), "unknown class 'bus'; known: pedestrian, car, traffic light"),
        ((), ("Car",), "unknown class 'Car'; known: pedestrian"),
        (("car: 1.4",), (), "class threshold 'car: 1.4', expected a class and a score of 0 to 1"),
        (("car: nan",), (), "class threshold 'car: nan', expected"),
        (("car",), (), "class threshold 'car', expected"),
        ((": 0.4",), (), "class threshold ': 0.4', expected"),
    ],
)
def test_bad_entries_are_named(thresholds, classes, reason):
    with pytest.raises(ValueError, match=reason):
        least_scores(NAMES, 0.3, thresholds, classes)


def test_the_best_of_those_that_reach_their_threshold():
    least = least_scores(NAMES, 0.3, ("car: 0.6",), ("pedestrian", "car"))
    results = found((0.9, 2), (0.8, 1), (0.6, 1), (0.5, 1), (0.4, 0), (0.3, 0), (0.2, 0))
    kept = select(results, least, 4)
    assert kept.scores.tolist() == pytest.approx([0.8, 0.6, 0.4, 0.3])
    assert kept.labels.tolist() == [1, 1, 0, 0]
    assert select(results, least, 1).scores.tolist() == pytest.approx([0.8])
    assert len(select(Detections2D.empty(), least, 10)) == 0


def test_what_is_not_finite_is_no_result():
    boxes = torch.ones(4, 4)
    boxes[1, 2], boxes[2, 0] = math.nan, math.inf
    results = found((0.9, 0), (0.8, 0), (0.7, 0), (math.nan, 0), boxes=boxes)
    assert select(results, least_scores(NAMES, 0.0, (), ()), 10).scores.tolist() == [
        pytest.approx(0.9)
    ]
