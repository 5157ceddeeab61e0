import json

import pytest
import torch

from centernet_ros.structures import Detections2D
from training.evaluation.voc import evaluate_voc

NAMES = ("dog", "cat")


def objects(*rows):
    """Detections of rows (x1, y1, x2, y2, score, label)."""
    values = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
    return Detections2D(values[:, :4], values[:, 4], values[:, 5].long())


NONE = objects()
DOG = (0, 0, 100, 100, 1.0, 0)
OTHER_DOG = (200, 0, 300, 100, 1.0, 0)


def scored(row, score):
    return (*row[:4], score, row[5])


def test_perfect_results_reach_1_and_a_class_without_objects_is_0():
    metrics = evaluate_voc([objects(DOG)], [NONE], [objects(DOG)], NAMES)
    assert metrics.ap07 == metrics.ap == {"dog": pytest.approx(1), "cat": 0}
    assert metrics.mean_ap == metrics.mean_ap07 == pytest.approx(0.5)
    assert metrics.num_objects == {"dog": 1, "cat": 0}


def test_half_found_and_a_false_alarm():
    truth = objects(DOG, OTHER_DOG)
    metrics = evaluate_voc([truth], [NONE], [objects(DOG)], NAMES)
    # Precision 1 up to recall 0.5: six of the eleven points.
    assert metrics.ap07["dog"] == pytest.approx(6 / 11)
    assert metrics.ap["dog"] == pytest.approx(0.5)
    alarm = objects(scored(DOG, 0.5), (500, 0, 600, 100, 0.9, 0))
    metrics = evaluate_voc([truth], [NONE], [alarm], NAMES)
    assert metrics.ap07["dog"] == pytest.approx(3 / 11)
    assert metrics.ap["dog"] == pytest.approx(0.25)
    # A false alarm below all hits costs nothing.
    alarm = objects(scored(DOG, 0.9), (500, 0, 600, 100, 0.5, 0))
    assert evaluate_voc([truth], [NONE], [alarm], NAMES).ap["dog"] == pytest.approx(0.5)


@pytest.mark.parametrize(("width", "hit"), [(50, True), (49.9, False)])
def test_half_of_the_union_is_enough(width, hit):
    metrics = evaluate_voc([objects(DOG)], [NONE], [objects((0, 0, width, 100, 1, 0))], NAMES)
    assert metrics.ap["dog"] == pytest.approx(float(hit))


def test_a_second_result_on_one_object_is_a_false_alarm():
    results = objects(scored(DOG, 0.9), scored(DOG, 0.8), scored(OTHER_DOG, 0.7))
    metrics = evaluate_voc([objects(DOG, OTHER_DOG)], [NONE], [results], NAMES)
    # Precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1.
    assert metrics.ap["dog"] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert metrics.ap07["dog"] == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_difficult_objects_need_not_be_found_and_may_be():
    results = objects(scored(OTHER_DOG, 0.9), scored(OTHER_DOG, 0.8), scored(DOG, 0.7))
    for label in (0, -1):
        difficult = objects((*OTHER_DOG[:5], label))
        metrics = evaluate_voc([objects(DOG)], [difficult], [results], NAMES)
        assert metrics.ap["dog"] == pytest.approx(1)
        assert metrics.num_objects["dog"] == 1
    assert evaluate_voc([objects(DOG)], [NONE], [results], NAMES).ap["dog"] == pytest.approx(1 / 3)
    # Of another class they excuse nothing.
    difficult = objects((*OTHER_DOG[:5], 1))
    metrics = evaluate_voc([objects(DOG)], [difficult], [results], NAMES)
    assert metrics.ap["dog"] == pytest.approx(1 / 3)


def test_images_and_classes_are_separate():
    truths = [objects(DOG), objects(OTHER_DOG)]
    swapped = evaluate_voc(truths, [NONE] * 2, truths[::-1], NAMES)
    assert swapped.ap["dog"] == 0
    cat = objects((*DOG[:5], 1))
    assert evaluate_voc([objects(DOG)], [NONE], [cat], NAMES).ap == {"dog": 0, "cat": 0}
    assert evaluate_voc([NONE], [NONE], [NONE], NAMES).mean_ap == 0


def test_table_and_json():
    metrics = evaluate_voc([objects(DOG)], [NONE], [objects(DOG)], NAMES)
    lines = metrics.table().splitlines()
    assert lines[1].split() == ["all", "classes", "0.500", "0.500", "1"]
    assert lines[2].split() == ["dog", "1.000", "1.000", "1"]
    assert json.loads(json.dumps(metrics.to_dict()))["ap07"]["dog"] == pytest.approx(1)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="1 truths, 2 difficult and 1 results"):
        evaluate_voc([NONE], [NONE, NONE], [NONE], NAMES)
    with pytest.raises(ValueError, match="label 2 in image 1: there are 2 classes"):
        evaluate_voc([NONE] * 2, [NONE] * 2, [NONE, objects((*DOG[:5], 2))], NAMES)
