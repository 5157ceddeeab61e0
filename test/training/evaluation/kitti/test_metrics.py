import dataclasses
import json
import math
import time
import zipfile

import pytest

from centernet_ros.kitti import KittiObject, read_objects
from training.evaluation.kitti import CLASSES, METRICS, KittiFrame, evaluate_kitti


def thing(kind="Car", left=100.0, top=100.0, height=60.0, width=90.0, **values):
    """A labelled object; its place in space follows its place in the image."""
    return KittiObject(
        kind,
        truncated=values.pop("truncated", 0.0),
        occluded=values.pop("occluded", 0),
        alpha=values.pop("alpha", 0.3),
        box=(left, top, left + width, top + height),
        dimensions=(1.5, 1.6, 3.9),
        location=(left / 10, 1.6, 20.0),
        yaw=0.4,
        **values,
    )


def found(item, score=0.9, **values):
    return dataclasses.replace(item, score=score, **values)


NOWHERE = {"dimensions": (-1.0,) * 3, "location": (-1000.0,) * 3, "yaw": -10.0, "alpha": -10.0}


def street(count, kind="Car"):
    """Frames with three objects each, all found with different scores."""
    frames = []
    for index in range(count):
        truths = [thing(kind, left=200.0 * k) for k in range(3)]
        results = [found(t, 0.9 - 0.01 * k - index / 1e4) for k, t in enumerate(truths)]
        frames.append(KittiFrame(f"{index:06d}", truths, results))
    return frames


def ap(frames, metric="2d", overlap=0.7, class_name="Car"):
    """AP of 11 points, easy."""
    return evaluate_kitti(frames).entry(class_name, metric, overlap).r11[0]


@pytest.mark.parametrize("kind", ["Car", "Pedestrian", "Cyclist"])
def test_results_equal_to_the_labels_reach_100(kind):
    metrics = evaluate_kitti(street(20, kind))
    strict, loose = next(item.overlaps for item in CLASSES if item.name == kind)
    for metric in METRICS:
        for overlap in (strict, loose):
            entry = metrics.entry(kind, metric, overlap)
            assert entry.r11 == pytest.approx((100, 100, 100))
            assert entry.r40 == pytest.approx((100, 100, 100))
    assert metrics.num_truths[kind] == (60, 60, 60)


def test_fewer_than_41_objects_cannot_reach_100():
    # 30 objects give 30 thresholds: samples 0 to 29 of 41.
    entry = evaluate_kitti(street(10)).entry("Car", "3d", 0.7)
    assert entry.r11[0] == pytest.approx(100 * 8 / 11)
    assert entry.r40[0] == pytest.approx(100 * 29 / 40)


def with_result(frames, result, truths=()):
    """Every frame with one more result, better than all others, and more labels."""
    return [
        KittiFrame(f.name, [*f.truths, *truths], [*f.results, found(result, 0.99)]) for f in frames
    ]


def test_a_false_alarm_in_each_frame_costs_a_quarter():
    frames = with_result(street(20), thing(left=900.0))
    # 20 alarms come before the first of 60 hits; precision rises up to 60 / 80 at the end.
    for metric in ("2d", "bev", "3d"):
        assert ap(frames, metric) == pytest.approx(75)
    assert ap(frames, "aos") == pytest.approx(75)


@pytest.mark.parametrize(
    ("truth", "result", "excused"),
    [
        (thing("Van", left=900.0), thing(left=900.0), ("2d", "bev", "3d")),
        (thing("Truck", left=900.0), thing(left=900.0), ()),
        (thing("DontCare", left=900.0), thing(left=900.0), ("2d",)),
        # 0.7 of the result must be covered, and more.
        (thing("dontcare", left=900.0, width=70), thing(left=900.0, width=100), ()),
        (thing("dontcare", left=900.0, width=71), thing(left=900.0, width=100), ("2d",)),
        # A result without a place lies where the region, which has none, lies: on each other.
        (thing("DontCare"), dataclasses.replace(thing(left=900.0), **NOWHERE), ("bev",)),
        (thing("Misc"), dataclasses.replace(thing(left=900.0), **NOWHERE), ()),
        (thing(left=900.0, occluded=3), thing(left=900.0), ("2d", "bev", "3d")),
        (thing(left=900.0, truncated=0.51), thing(left=900.0), ("2d", "bev", "3d")),
        # A result below 40 pixels counts neither way.
        (thing("Misc"), thing(left=900.0, height=39.9), ("2d", "bev", "3d")),
        (thing("Misc"), thing(left=900.0, height=40), ()),
    ],
)
def test_what_excuses_a_false_alarm(truth, result, excused):
    if truth.kind.lower() == "dontcare":
        truth = dataclasses.replace(truth, **NOWHERE)
    frames = with_result(street(20), result, [truth])
    for metric in ("2d", "bev", "3d"):
        assert ap(frames, metric) == pytest.approx(100 if metric in excused else 75), metric


def test_orientation_is_weighted_by_the_angle():
    frames = street(20)
    for turn, share in ((math.pi, 0), (math.pi / 2, 0.5), (2 * math.pi, 1)):
        turned = [
            KittiFrame(
                f.name, f.truths, [found(r, r.score, alpha=r.alpha + turn) for r in f.results]
            )
            for f in frames
        ]
        assert ap(turned, "aos") == pytest.approx(100 * share, abs=1e-9)
        assert ap(turned, "2d") == pytest.approx(100)


def test_what_results_cannot_tell_is_not_measured():
    frames = [
        KittiFrame(f.name, f.truths, [found(r, r.score, **NOWHERE) for r in f.results])
        for f in street(20)
    ]
    metrics = evaluate_kitti(frames)
    assert metrics.entry("Car", "2d", 0.7).r11 == pytest.approx((100, 100, 100))
    for metric in ("aos", "bev", "3d"):
        entry = metrics.entry("Car", metric, 0.7)
        assert (entry.r11, entry.r40, entry.curves) == (None, None, None)
    # No result at all is no 0 either, as in the official program.
    assert metrics.entry("Cyclist", "2d", 0.5).r11 is None
    plain = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert plain["Car"]["2d@0.70"]["R11"]["easy"] == pytest.approx(100)
    assert plain["Car"]["bev@0.70"]["R40"]["hard"] is None
    assert plain["Car"]["truths"] == {"easy": 60, "moderate": 60, "hard": 60}
    assert plain["frames"] == 20


def test_frames_know_nothing_of_each_other():
    here, there = thing(), thing(left=500.0)
    frames = [KittiFrame("a", [here], [found(there)]), KittiFrame("b", [there], [found(here)])]
    curve = evaluate_kitti(frames).entry("Car", "2d", 0.7).curves[0]
    assert (curve.num_truths, curve.hits.tolist()) == (2, [])


def test_table_and_look_up():
    metrics = evaluate_kitti(street(20))
    lines = metrics.table().splitlines()
    assert lines[0].startswith("20 frames")
    assert lines[2].split() == ["Car", "2d@0.70", *["100.00"] * 6]
    assert next(line for line in lines if "Cyclist" in line).split()[2:] == ["-"] * 6
    with pytest.raises(KeyError, match=r"no Car 2d@0.60 among Car 2d@0.70"):
        metrics.entry("Car", "2d", 0.6)


def test_no_frames_at_all():
    metrics = evaluate_kitti([])
    assert metrics.num_truths == {"Car": (0, 0, 0), "Pedestrian": (0, 0, 0), "Cyclist": (0, 0, 0)}
    assert metrics.entry("Car", "2d", 0.7).r11 is None


def test_bad_values_are_named():
    with pytest.raises(ValueError, match="000007: a result has no score"):
        evaluate_kitti([KittiFrame("000007", [], [thing()])])
    broken = dataclasses.replace(thing(), yaw=math.nan)
    with pytest.raises(ValueError, match=r"000008: no finite number in KittiObject.*Car"):
        evaluate_kitti([KittiFrame("000007", [thing()], []), KittiFrame("000008", [broken], [])])


def test_a_whole_validation_split_in_time(metrics_folder, tmp_path):
    """3769 frames, those of the largest set again and again."""
    archives = list(metrics_folder.glob("**/kitti/**/det.zip"))
    if not archives:
        pytest.skip(f"{metrics_folder} holds no set of kitti")
    folder = max(archives, key=lambda path: path.stat().st_size).parent
    texts = []
    for name in ("label_2.zip", "det.zip"):
        with zipfile.ZipFile(folder / name) as archive:
            files = sorted(file for file in archive.namelist() if file.endswith(".txt"))
            texts.append([archive.read(file).decode() for file in files] or [""])
    # Of the processor: other programs on the machine do not count.
    start = time.process_time()
    frames = [
        KittiFrame(f"{k}", *(read_objects(part[k % len(part)]) for part in texts))
        for k in range(3769)
    ]
    metrics = evaluate_kitti(frames)
    assert time.process_time() - start < 45
    assert metrics.num_frames == 3769
