"""What a comparison of times may claim, and what not."""

import itertools

import numpy as np
import pytest

from centernet_ros.benchmark.timing import Times, measure, speed_up, table, winner


def noisy(median, spread, count=40, seed=0):
    rng = np.random.default_rng(seed)
    return Times(tuple(median * rng.lognormal(0, spread, count)))


def test_statistics():
    times = Times((0.010, 0.012, 0.011, 0.050, 0.010))
    assert times.median == 0.011
    assert 0.048 < times.p99 <= 0.050
    assert times.spread == pytest.approx(0.001 / 0.011)
    assert times.to_dict()["repetitions"] == 5
    assert times.to_dict()["median_ms"] == pytest.approx(11)


def test_things_are_timed_in_turns_and_backwards():
    order = []
    ticks = itertools.count()
    times = measure(
        {name: lambda name=name: order.append(name) for name in "abc"},
        4,
        warm_up=1,
        clock=lambda: next(ticks),
    )
    assert "".join(order) == "abc" + "abccba" * 2
    assert all(value.seconds == (1, 1, 1, 1) for value in times.values())


def test_clear_difference_has_bounds_around_the_truth():
    ratio = speed_up(noisy(0.020, 0.1, seed=1), noisy(0.010, 0.1, seed=2))
    assert ratio.low < 2 < ratio.high
    assert ratio.decided
    assert str(ratio) == f"{ratio.value:.2f}x ({ratio.low:.2f}-{ratio.high:.2f})"


def test_what_slows_a_round_slows_both():
    """A busy machine makes times useless, but not the ratios of neighbours."""
    load = np.random.default_rng(0).uniform(1, 10, 40)
    ratio = speed_up(Times(tuple(0.02 * load)), Times(tuple(0.01 * load)))
    assert ratio.value == pytest.approx(2)
    assert ratio.high - ratio.low < 1e-6


def test_equal_things_have_no_winner():
    false_claims = 0
    for seed in range(100):
        times = {"a": noisy(0.01, 0.2, seed=2 * seed), "b": noisy(0.01, 0.2, seed=2 * seed + 1)}
        ratio = speed_up(times["a"], times["b"])
        false_claims += winner(times) is not None
        assert str(ratio).endswith("within the noise") != ratio.decided
    assert false_claims <= 10


@pytest.mark.parametrize("count", [6, 7, 9, 20, 41])
def test_bounds_hold_the_ratio_as_often_as_they_say(count):
    """Also where times are far from normal: rare, long disturbances."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        times = rng.lognormal(0, 0.1, (2, count)) * np.where(rng.random((2, count)) < 0.1, 3, 1)
        ratio = speed_up(*(Times(tuple(values)) for values in times))
        held += ratio.low < 1 < ratio.high
    assert held / 2000 > 0.94


def test_winner_beats_all_others():
    fast, near, slow = noisy(0.010, 0.05, seed=1), noisy(0.0101, 0.05, seed=2), noisy(0.02, 0.05)
    assert winner({"slow": slow, "fast": fast}) == "fast"
    assert winner({"slow": slow, "fast": fast, "near": near}) is None


@pytest.mark.parametrize("counts", [(7, 8), (5, 5)])
def test_ratio_needs_pairs(counts):
    with pytest.raises(ValueError, match=f"{counts[0]} and {counts[1]} repetitions: a ratio needs"):
        speed_up(*(Times((1.0,) * count) for count in counts))


def test_table():
    assert table(["a", "long"], [["1", "2"], ["333", ""]]) == (
        "| a   | long |\n|-----|------|\n| 1   | 2    |\n| 333 |      |"
    )
