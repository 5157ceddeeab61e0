import math

import pytest

from demo.records import FoundObject, Received, Sent, Timed, match
from demo.report import find_problems, summarise, to_detections
from demo.sources import StreetSource
from training.data.street import CLASS_NAMES

PERIOD = 100_000_000
STAGES = {"network": 0.03, "total": 0.04}


def play(frames, *, drop=(), late=0, boxes=lambda box: box):
    """What camera and recorder would write if the node found exactly the truth."""
    sent, received, timings = [], [], []
    for i, frame in enumerate(frames):
        stamp = 1_000_000_000 + i * PERIOD
        sent.append(Sent(i, stamp, stamp, "camera"))
        if i in drop:
            continue
        found = tuple(
            FoundObject(CLASS_NAMES[label], 0.9, tuple(boxes(box)))
            for box, label in zip(
                frame.objects.boxes.tolist(), frame.objects.labels.tolist(), strict=True
            )
        )
        received.append(Received(stamp, "camera", stamp + 40_000_000 + late * i, found))
        timings.append(Timed(stamp, stamp + 41_000_000, STAGES, 0))
    return sent, received, timings


@pytest.fixture(scope="module")
def frames():
    return StreetSource(12, 10.0).frames


def test_the_table_of_a_perfect_network(frames):
    sent, received, timings = play(frames)
    exchanges, strangers = match(sent, received)
    summary = summarise(exchanges, timings, frames)
    assert (summary.sent, summary.processed, summary.dropped) == (12, 12, 0)
    assert summary.latency_ms == pytest.approx((40, 40))
    assert summary.rate == pytest.approx(10)
    assert summary.network_ms == pytest.approx(30)
    assert summary.boxes.ap == pytest.approx(1)
    rows = {line[2:20].strip(): line[20:].split() for line in summary.table().splitlines()}
    assert rows["frames sent"] == ["12"]
    assert rows["frames dropped"] == ["0"]
    assert rows["latency, median"][:2] == ["40.0", "ms,"]
    assert rows["AP@0.5"][0] == "1.000"
    assert "car" in rows["AP"]
    assert find_problems(exchanges, strangers, timings) == []


def test_dropped_images_neither_count_as_missed_nor_shift_the_truth(frames):
    sent, received, timings = play(frames, drop=(0, 4))
    summary = summarise(match(sent, received)[0], timings, frames)
    assert (summary.processed, summary.dropped) == (10, 2)
    assert summary.boxes.ap == pytest.approx(1)


def test_boxes_beside_the_objects_show_in_the_precision(frames):
    sent, received, timings = play(frames, boxes=lambda box: [box[0] + 500, *box[1:2], 900, 999])
    assert summarise(match(sent, received)[0], timings, frames).boxes.ap50 < 0.05


def test_percentile_of_the_latency(frames):
    sent, received, timings = play(frames, late=1_000_000)
    median, high = summarise(match(sent, received)[0], timings, None).latency_ms
    assert median == pytest.approx(45.5)
    assert 50 < high <= 51


def test_a_bag_has_no_precision_and_silence_no_latency(frames):
    sent, _, _ = play(frames)
    exchanges, strangers = match(sent, [])
    summary = summarise(exchanges, [], None)
    assert math.isnan(summary.latency_ms[0])
    assert summary.table().count("n/a") == 6
    assert find_problems(exchanges, strangers, []) == ["no detections came for any image"]


def test_broken_promises_are_named(frames):
    sent, received, timings = play(frames[:3])
    received[0] = Received(received[0].stamp_ns, "map", 0, ())
    received[1] = Received(123, "camera", 0, ())
    problems = "\n".join(find_problems(*match(sent, received), timings))
    assert "frame_id 'map' where the image had 'camera'" in problems
    assert (
        "1 arrays of detections carry a stamp that no image had, the first one 123 ns" in problems
    )
    assert "1 images were processed, but sent no detections" in problems


def test_boxes_of_unknown_classes_are_left_out():
    car = FoundObject("car", 0.9, (10.0, 20.0, 30.5, 40.0))
    tram = FoundObject("tram", 0.8, (0.0, 0.0, 5.0, 5.0))
    detections = to_detections(Received(0, "camera", 0, (tram, car)), ["pedestrian", "car"])
    assert detections.labels.tolist() == [1]
    assert detections.boxes.tolist() == [[10.0, 20.0, 30.5, 40.0]]
    assert len(to_detections(Received(0, "camera", 0, (tram,)), ["car"])) == 0
    assert len(to_detections(None, ["car"])) == 0
