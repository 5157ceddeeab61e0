import pytest

from demo.records import (
    Exchange,
    FoundObject,
    FoundPerson,
    FoundSolid,
    Received,
    Sent,
    Tail,
    Timed,
    from_line,
    match,
    to_line,
)

CAR = FoundObject("car", 0.9, (10.0, 20.0, 30.5, 40.0))
TRAM = FoundObject("tram", 0.8, (0.0, 0.0, 5.0, 5.0))

SOLID = FoundSolid("car", 0.9, (1.5, 1.7, 4.2), (-2.0, 1.6, 12.0), 0.5)


def sent(index, stamp, origin=None):
    return Sent(index, stamp, stamp if origin is None else origin, "camera")


def received(stamp, at, *found):
    return Received(stamp, "camera", at, found)


@pytest.mark.parametrize(
    "record",
    [
        sent(3, 1317013200_000000001),
        received(5, 7, CAR, TRAM),
        received(5, 7),
        Received(5, "camera", 7, (SOLID,), "detections_3d"),
        Received(5, "camera", 7, (FoundPerson(0.5, ((1.0, 2.0, 0.25),) * 17),), "poses"),
        Timed(5, 7, {"network": 0.03, "total": 0.04}, 2),
    ],
)
def test_a_line_holds_a_record(record):
    line = to_line(record)
    assert line.count("\n") == 1
    assert from_line(line) == record


def test_a_file_is_read_while_it_is_written(tmp_path):
    path = tmp_path / "records.jsonl"
    tail = Tail(path)
    assert list(tail.new()) == []
    first, second = to_line(sent(0, 1)), to_line(sent(1, 2))
    path.write_text(first + second[:10])
    assert [record.index for record in tail.new()] == [0]
    assert list(tail.new()) == []
    path.write_text(first + second)
    assert [record.index for record in tail.new()] == [1]


def test_images_find_their_arrays_and_the_rest_is_dropped_or_strange():
    images = [sent(-1, 10), sent(0, 20), sent(1, 30), sent(2, 40)]
    arrays = [received(10, 11), received(20, 25), received(40, 46), received(99, 100)]
    exchanges, strangers = match(images, arrays)
    assert [e.sent.index for e in exchanges] == [0, 1, 2]
    assert [e.received and e.received.received_ns for e in exchanges] == [25, None, 46]
    assert strangers == [arrays[3]]


def test_both_arrays_of_an_image_are_found():
    solids = [Received(stamp, "camera", 0, (SOLID,), "detections_3d") for stamp in (30, 99)]
    boxes = [received(20, 25, CAR), received(30, 36, CAR)]
    exchanges, strangers = match([sent(0, 20), sent(1, 30)], [*solids, *boxes])
    assert [(e.received, e.more) for e in exchanges] == [(boxes[0], None), (boxes[1], solids[0])]
    assert strangers == [solids[1]]


def test_images_with_the_same_stamp_take_their_arrays_in_turn():
    images = [sent(0, 0), sent(1, 0), sent(2, 0)]
    exchanges, strangers = match(images, [received(0, 5), received(0, 6)])
    assert [e.received and e.received.received_ns for e in exchanges] == [5, 6, None]
    assert strangers == []


def test_latency_counts_from_the_origin():
    live = Exchange(sent(0, 1_000_000_000), received(1_000_000_000, 1_040_000_000))
    assert live.latency_ms == 40
    old = sent(0, 1317013200_000000000, origin=2_000_000_000)
    assert Exchange(old, received(old.stamp_ns, 2_050_000_000)).latency_ms == 50
    assert Exchange(old, None).latency_ms is None
