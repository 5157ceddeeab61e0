"""Loss and latency by rate, and the search for the rate that is just kept up with."""

import pytest

from centernet_ros.benchmark.rates import FASTEST, RESOLUTION, SLOWEST, Trial, find_peak


def trial(rate, *, sent=100, answered=100, seconds=None):
    return Trial(rate, sent, seconds or sent / rate, latencies=(0.02,) * answered)


def test_figures_of_a_trial():
    latencies = tuple(i / 1000 for i in range(1, 101))
    figures = Trial(10.0, 104, 10.4, latencies, network=(0.010, 0.012), beside=(0.002,)).to_dict()
    assert (figures["sent"], figures["dropped"]) == (104, 4)
    assert figures["sent_rate"] == pytest.approx(10)
    assert figures["latency_p50_ms"] == pytest.approx(50.5)
    assert figures["latency_p99_ms"] == pytest.approx(99, abs=0.1)
    assert figures["latency_p99.9_ms"] == pytest.approx(99.9, abs=0.1)
    assert figures["network_p50_ms"] == pytest.approx(11)
    assert figures["beside_p50_ms"] == pytest.approx(2)


def test_without_an_answer_there_is_no_latency():
    assert trial(10, answered=0).to_dict()["latency_p50_ms"] is None


@pytest.mark.parametrize(("answered", "kept"), [(100, True), (96, True), (95, False), (0, False)])
def test_less_than_five_percent_may_go_lost(answered, kept):
    assert trial(10, answered=answered).kept_up == kept


def test_a_camera_that_is_too_slow_proves_nothing():
    assert not trial(100, seconds=2.0).kept_up


@pytest.mark.parametrize("capacity", [0.4, 7.3, 10.0, 33.0, 640.0])
def test_the_peak_is_found(capacity):
    rates = []

    def play(rate):
        rates.append(rate)
        return trial(rate, answered=100 if rate <= capacity else 50)

    peak = find_peak(play)
    assert capacity / RESOLUTION <= peak.rate <= capacity
    assert len(rates) < 16


def test_the_search_has_ends():
    assert find_peak(lambda rate: trial(rate, answered=0)) is None
    fastest = find_peak(trial)
    assert FASTEST / 2 < fastest.rate <= FASTEST
    assert SLOWEST < 1
