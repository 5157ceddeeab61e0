"""A log stays readable when every image brings a warning."""

import pytest

from centernet_ros.ros import throttle as module
from centernet_ros.ros.throttle import Throttle


@pytest.fixture
def logged(monkeypatch):
    """When a text was logged that comes ten times a second: `logged(texts of the moments)`."""

    def run(text_at, seconds=25):
        now = 0.0
        monkeypatch.setattr(module.time, "monotonic", lambda: now)
        throttle, times = Throttle(), []
        for i in range(10 * seconds):
            now = i / 10
            if throttle.allows(text_at(i)):
                times.append(now)
        return times

    return run


def test_the_same_text_comes_each_ten_seconds(logged):
    assert logged(lambda i: "K[0] is 0") == [0, 10, 20]


def test_figures_make_no_new_text(logged):
    """TF tells times, and a decoder numbers of bytes, that no two images share."""
    assert logged(lambda i: f"requested time {1.7e9 + i / 7:.6f} but") == [0, 10, 20]
    assert logged(lambda i: f"its {1000 + 37 * i} bytes of JPEG") == [0, 10, 20]
    assert logged(lambda i: f"holds {10.0 ** (i - 100):g}") == [0, 10, 20]


def test_two_warnings_in_turns_come_each_ten_seconds_too(logged):
    assert logged(lambda i: ("unusable", "no 3D boxes")[i % 2]) == [0, 1.1, 10, 11.1, 20, 21.1]


def test_what_is_new_comes_after_a_second(logged):
    assert logged(lambda i: "first" if i < 5 else "second") == [0, 1, 11, 21]


def test_what_was_logged_long_ago_is_forgotten(monkeypatch):
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    throttle = Throttle()
    for i in range(1000):
        now += 1.0
        assert throttle.allows("abcdefghij"[i % 10] * (i + 1))
    assert len(throttle._logged) <= 11
