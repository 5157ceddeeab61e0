import math

import numpy as np
import pytest

from training.evaluation.kitti.curves import (
    Curve,
    average_r11,
    average_r40,
    recall_thresholds,
)


def curve(hits, alarms, num_truths=100):
    count = len(hits)
    return Curve(
        num_truths=num_truths,
        thresholds=np.linspace(1, 0, count),
        hits=np.array(hits),
        alarms=np.array(alarms),
        misses=num_truths - np.array(hits),
        similarities=np.array(hits) / 2,
    )


def test_each_hit_serves_one_threshold_only():
    # With fewer than 41 objects every hit is a threshold.
    assert recall_thresholds(np.array([0.3, 0.9, 0.5]), 5).tolist() == [0.9, 0.5, 0.3]
    assert recall_thresholds(np.zeros(0), 5).tolist() == []


def test_thresholds_of_many_hits_lie_where_the_recall_is_nearest():
    scores = np.linspace(1, 0.001, 1000)
    thresholds = recall_thresholds(scores, 1000)
    assert len(thresholds) == 41
    # Hit 1, 25, 50, ... 1000 of 1000.
    ranks = [int(np.flatnonzero(scores == value)[0]) + 1 for value in thresholds]
    assert ranks == [1, *range(25, 1001, 25)]
    # Half of the objects are never found: recall 0 to 0.5.
    assert len(recall_thresholds(scores[:500], 1000)) == 21


def test_the_last_hit_is_a_threshold():
    scores = np.linspace(1, 0.01, 100)
    assert recall_thresholds(scores, 1000)[-1] == scores[-1]


def test_precision_is_the_best_at_this_or_a_higher_recall():
    samples = curve([1, 1, 3], [0, 1, 0]).precisions()
    assert samples[:4].tolist() == [1, 1, 1, 0]
    assert curve([1, 1, 3], [0, 1, 0]).orientations()[:4].tolist() == [0.5, 0.5, 0.5, 0]


def test_nothing_counted_is_no_number_and_spoils_no_other_sample():
    samples = curve([0, 1], [0, 1]).precisions()
    assert math.isnan(samples[0])
    assert samples[1] == 0.5
    assert math.isnan(average_r11(samples))
    assert average_r40(samples) == pytest.approx(100 * 0.5 / 40)
    samples = curve([1, 0, 0], [1, 0, 2]).precisions()
    assert samples[[0, 2]].tolist() == [0.5, 0]
    assert math.isnan(samples[1])


def test_averages_take_eleven_and_forty_samples():
    samples = np.zeros(41)
    samples[:21] = 1
    assert average_r11(samples) == pytest.approx(100 * 6 / 11)
    assert average_r40(samples) == pytest.approx(100 * 20 / 40)
