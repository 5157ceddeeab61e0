import dataclasses

from centernet_ros.kitti import KittiObject
from training.evaluation.kitti import KittiFrame, evaluate_kitti


def car(left, height=42.0, score=None, right=None):
    """A car whose place in space is unknown; labels below 40 pixels do not exist here."""
    return KittiObject(
        "Car",
        truncated=0.0,
        occluded=0,
        alpha=0.3,
        box=(left, 100.0, left + 100.0 if right is None else right, 100.0 + height),
        dimensions=(-1.0,) * 3,
        location=(-1000.0,) * 3,
        yaw=0.0,
        score=score,
    )


def easy_curve(truths, results):
    frame = KittiFrame("0", truths, results)
    return evaluate_kitti([frame]).entry("Car", "2d", 0.7).curves[0]


def test_thresholds_follow_the_score_and_hits_the_overlap():
    # The better score fits worse; at its own threshold it is the only one.
    results = [car(100, score=0.5), car(110, score=0.9)]
    curve = easy_curve([car(100), car(600)], [*results, car(600, score=0.4)])
    assert curve.thresholds.tolist() == [0.9, 0.4]
    assert (curve.hits.tolist(), curve.alarms.tolist()) == ([1, 2], [0, 1])
    turned = dataclasses.replace(results[1], alpha=0.3 + 3.14159265)
    curve = easy_curve([car(100), car(600)], [results[0], turned, car(600, score=0.4)])
    assert [round(value, 6) for value in curve.similarities] == [0, 2]


def test_a_valid_result_is_preferred_to_one_to_be_ignored():
    small, fits_worse = car(100, 39, score=0.5), car(110, score=0.6)
    curve = easy_curve([car(100)], [small, fits_worse])
    assert curve.hits.tolist() == [1]
    # The first pass goes by the score alone: no hit, no threshold.
    assert (
        easy_curve([car(100)], [dataclasses.replace(small, score=0.7), fits_worse]).hits.size == 0
    )


def test_of_results_to_be_ignored_the_first_in_the_file_is_used_up():
    far, far_found = car(600), car(600, score=0.1)
    near_both, near_first = car(107, 39, score=0.5), car(98, 39, score=0.4)
    truths = [car(100), car(115), far]
    # The first object takes what the second could have had, which then is a miss.
    assert easy_curve(truths, [near_both, near_first, far_found]).misses.tolist() == [1]
    assert easy_curve(truths, [near_first, near_both, far_found]).misses.tolist() == [0]


def test_objects_choose_in_the_order_of_the_file():
    left, right = car(100), car(120)
    between = car(110, score=0.9)
    for truths in ([left, right], [right, left]):
        curve = easy_curve(truths, [between])
        assert (curve.hits.tolist(), curve.misses.tolist()) == ([1], [1])
    # An ignored object that comes first uses the result up.
    van = dataclasses.replace(left, kind="Van")
    assert easy_curve([van, right], [between]).hits.size == 0
    assert easy_curve([right, van], [between]).hits.tolist() == [1]
