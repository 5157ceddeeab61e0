import dataclasses
import math

import pytest

from centernet_ros.structures import Detections2D, Detections3D
from demo.records import Exchange, FoundObject, FoundSolid, Received, Sent, Timed, match
from demo.report import find_gaps, find_problems, street_truth, summarise, to_results
from demo.sources import StreetSource
from demo.tasks import TASKS
from training.data.street import CLASS_NAMES

PERIOD = 100_000_000
STAGES = {"network": 0.03, "total": 0.04}


BOXES, SOLIDS = TASKS["detection2d"], TASKS["detection3d"]


def play(samples, *, drop=(), late=0, boxes=lambda box: box, solids=False):
    """What camera and recorder would write if the node found exactly the truth."""
    sent, received, timings = [], [], []
    for i, sample in enumerate(samples):
        stamp = 1_000_000_000 + i * PERIOD
        sent.append(Sent(i, stamp, stamp, "camera"))
        if i in drop:
            continue
        found = tuple(
            FoundObject(CLASS_NAMES[label], 0.9, tuple(boxes(box)))
            for box, label in zip(
                sample.truth.boxes.tolist(), sample.truth.labels.tolist(), strict=True
            )
        )
        if solids:
            more = tuple(solids_of(sample.truth))
            received.append(Received(stamp, "camera", stamp + 1, more, "detections_3d"))
        received.append(Received(stamp, "camera", stamp + 40_000_000 + late * i, found))
        timings.append(Timed(stamp, stamp + 41_000_000, STAGES, 0))
    return sent, received, timings


def solids_of(truth):
    rows = zip(
        truth.labels.tolist(),
        truth.dimensions.tolist(),
        truth.locations.tolist(),
        truth.yaws.tolist(),
        strict=True,
    )
    for label, dimensions, location, yaw in rows:
        yield FoundSolid(CLASS_NAMES[label], 0.9, tuple(dimensions), tuple(location), yaw)


@pytest.fixture(scope="module")
def source():
    return StreetSource(12, 10.0)


@pytest.fixture(scope="module")
def frames(source):
    return street_truth(BOXES, source)


@pytest.fixture(scope="module")
def frames_in_space(source):
    return street_truth(SOLIDS, source)


def test_the_table_of_a_perfect_network(frames):
    sent, received, timings = play(frames)
    exchanges, strangers = match(sent, received)
    summary = summarise(BOXES, exchanges, timings, frames)
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
    summary = summarise(BOXES, match(sent, received)[0], timings, frames)
    assert (summary.processed, summary.dropped) == (10, 2)
    assert summary.boxes.ap == pytest.approx(1)


def test_boxes_beside_the_objects_show_in_the_precision(frames):
    sent, received, timings = play(frames, boxes=lambda box: [box[0] + 500, *box[1:2], 900, 999])
    assert summarise(BOXES, match(sent, received)[0], timings, frames).boxes.ap50 < 0.05


def test_percentile_of_the_latency(frames):
    sent, received, timings = play(frames, late=1_000_000)
    median, high = summarise(BOXES, match(sent, received)[0], timings, None).latency_ms
    assert median == pytest.approx(45.5)
    assert 50 < high <= 51


def test_a_bag_has_no_precision_and_silence_no_latency(frames):
    sent, _, _ = play(frames)
    exchanges, strangers = match(sent, [])
    summary = summarise(BOXES, exchanges, [], None)
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


def test_boxes_of_unknown_classes_are_left_out_with_their_places():
    car = FoundObject("car", 0.9, (10.0, 20.0, 30.5, 40.0))
    tram = FoundObject("tram", 0.8, (0.0, 0.0, 5.0, 5.0))
    places = [
        FoundSolid(name, 0.9, (1.5, 1.7, 4.2), (x, 1.6, 9.0), 0.5)
        for name, x in (("tram", 1.0), ("car", 2.0))
    ]
    boxes = Received(0, "camera", 0, (tram, car))
    solids = Received(0, "camera", 0, tuple(places), "detections_3d")
    image = Sent(0, 0, 0, "camera")
    found = to_results(BOXES, Exchange(image, boxes), ["pedestrian", "car"])
    assert type(found) is Detections2D
    assert found.labels.tolist() == [1]
    assert found.boxes.tolist() == [[10.0, 20.0, 30.5, 40.0]]
    found = to_results(SOLIDS, Exchange(image, boxes, solids), ["pedestrian", "car"])
    assert type(found) is Detections3D
    assert found.locations[:, 0].tolist() == [2.0]
    # Of other objects, or none: only the boxes are sure.
    other = Received(0, "camera", 0, solids.detections[:1], "detections_3d")
    for more in (other, None):
        assert type(to_results(SOLIDS, Exchange(image, boxes, more), ["car"])) is Detections2D
    assert len(to_results(BOXES, Exchange(image, boxes), ["bus"])) == 0
    assert len(to_results(BOXES, Exchange(image, None), ["car"])) == 0


def test_the_table_of_3d_boxes(frames_in_space):
    samples = 4 * frames_in_space
    sent, received, timings = play(samples, solids=True, drop=(3,))
    exchanges, strangers = match(sent, received)
    summary = summarise(SOLIDS, exchanges, timings, samples)
    assert summary.boxes.ap == pytest.approx(1)
    assert [(f.name, f.value) for f in summary.figures] == [
        ("car BEV AP", pytest.approx(100)),
        ("car 3D AP", pytest.approx(100)),
    ]
    assert "  car 3D AP            100.0  %" in summary.table()
    assert find_problems(exchanges, strangers, timings) == find_gaps(SOLIDS, exchanges) == []
    assert summarise(SOLIDS, exchanges, timings, None).figures == ()
    few = summarise(SOLIDS, exchanges[:10], timings, samples)
    assert few.table().count("n/a") == 2
    assert "cars of KITTI's level moderate were seen, 41 are needed" in few.table()


def test_3d_boxes_that_are_missing_empty_or_of_other_objects_are_told(frames_in_space):
    sent, received, timings = play(frames_in_space[:3], solids=True)
    first, second, third = (i for i, array in enumerate(received) if array.topic != "detections_2d")
    received[second] = dataclasses.replace(received[second], detections=())
    received[third] = dataclasses.replace(
        received[third], detections=received[third].detections[:-1], frame_id="map"
    )
    del received[first]
    exchanges, strangers = match(sent, received)
    gaps = find_gaps(SOLIDS, exchanges)
    assert len(gaps) == 3
    assert "1 images have 2D boxes, but no array on detections_3d" in gaps[0]
    assert "detections_3d stayed empty for 1 images" in gaps[1]
    assert "detections_3d has other objects than 2D boxes for 1 images" in gaps[2]
    assert "frame_id 'map'" in "".join(find_problems(exchanges, strangers, timings))
    assert find_gaps(BOXES, exchanges) == []
