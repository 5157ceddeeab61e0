"""How often a camera's images are let through."""

import pytest

from centernet_ros.ros.stream import Pace


def passed(times, period):
    pace = Pace()
    return [now for now in times if pace.allows(now, period)]


def at(rate, seconds=10.0, jitter=0.0):
    """Times of images at a rate, every second one late."""
    return [i / rate + jitter * (i % 2) for i in range(int(rate * seconds))]


def test_without_a_period_all_pass():
    times = at(30)
    assert passed(times, 0.0) == times


@pytest.mark.parametrize("rate", [10, 12, 15, 25, 30, 100])
def test_a_period_caps_the_rate(rate):
    """Ten seconds hold at most the hundred images of a period of 0.1 s, and not many fewer."""
    count = len(passed(at(rate, jitter=0.1 / rate), 0.1))
    assert 90 <= count <= 101


def test_a_camera_of_just_the_rate_loses_nothing():
    times = at(10, jitter=0.01)
    assert passed(times, 0.1) == times


def test_after_a_pause_there_is_no_burst():
    times = [0.0, *(5 + i / 100 for i in range(100))]
    assert len(passed(times, 0.5)) <= 4


def test_a_shorter_period_counts_at_once():
    pace = Pace()
    assert pace.allows(0.0, 60.0)
    assert not pace.allows(1.0, 60.0)
    assert pace.allows(1.1, 0.1)
