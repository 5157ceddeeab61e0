"""Perfect results reach the top of every benchmark, and wrong ones do not."""

import dataclasses

import numpy as np
import pytest
import torch

from centernet_ros.structures import Detections2D, Detections3D, Poses
from training.data.sample import Sample
from training.data.street_samples import StreetSamples
from training.evaluation.coco import BoxMetrics, PoseMetrics
from training.evaluation.kitti import KittiMetrics
from training.evaluation.kitti.metrics import KittiEntry
from training.evaluation.voc import VocMetrics
from training.measuring import headline, measure

IMAGE = np.zeros((100, 200, 3), np.uint8)
BOX = torch.tensor([[10.0, 10.0, 60.0, 60.0]])
OBJECT = Detections2D(BOX, torch.ones(1), torch.zeros(1, dtype=torch.int64))
SAMPLE = Sample("a", IMAGE, OBJECT, Detections2D.empty(), areas=torch.tensor([500.0]))


def test_boxes_are_judged_by_coco_with_the_areas_of_the_labels():
    metrics = measure("coco", [SAMPLE], [OBJECT], ("a",))

    assert isinstance(metrics, BoxMetrics)
    assert metrics.ap == pytest.approx(1)
    assert metrics.ap_small == pytest.approx(1)
    without = dataclasses.replace(SAMPLE, areas=None)
    assert measure("coco", [without], [OBJECT], ("a",)).ap_medium == pytest.approx(1)


def test_difficult_objects_need_not_be_found_by_voc():
    hard = dataclasses.replace(SAMPLE, truth=Detections2D.empty(), ignored=OBJECT)
    metrics = measure("voc", [SAMPLE, hard], [OBJECT, Detections2D.empty()], ("a",))

    assert isinstance(metrics, VocMetrics)
    assert metrics.mean_ap == pytest.approx(1)
    assert metrics.num_objects == {"a": 1}


def test_poses_are_judged_by_their_joints():
    samples = list(StreetSamples(1, 8, "pose"))
    truths = [sample.truth for sample in samples]
    moved = [dataclasses.replace(t, keypoints=t.keypoints + 30) for t in truths]

    metrics = measure("coco", samples, truths, ("person",))
    assert isinstance(metrics, PoseMetrics)
    assert metrics.ap == pytest.approx(1)
    assert measure("coco", samples, moved, ("person",)).ap < 0.2


def test_crowds_excuse_people_by_the_area_of_their_label():
    joints = torch.stack([torch.full((17,), 175.0), torch.linspace(20, 50, 17)], dim=1)[None]
    person = Poses(BOX, torch.ones(1), torch.zeros(1, dtype=torch.int64), joints, torch.ones(1, 17))
    # 35 pixels beside what COCO takes for a crowd's surroundings.
    alarm = dataclasses.replace(person, keypoints=joints - torch.tensor([60.0, 0.0]))
    crowd = Detections2D(torch.tensor([[40.0, 0, 60, 60]]), torch.ones(1), torch.zeros(1).long())
    found = Poses.concatenate([alarm, dataclasses.replace(person, scores=torch.tensor([0.5]))])
    for area, expected in ((50.0, 0.5), (1e8, 1.0)):
        sample = Sample(
            "a",
            IMAGE,
            person,
            crowd,
            areas=torch.tensor([500.0]),
            ignored_areas=torch.tensor([area]),
        )
        assert measure("coco", [sample], [found], ("person",)).ap == pytest.approx(expected)


@pytest.fixture(scope="module")
def frames():
    return list(StreetSamples(1, 40, "detection3d"))


def car(metrics, metric):
    return metrics.entry("Car", metric, 0.5).r40[1]


def test_boxes_in_space_are_judged_by_kitti(frames):
    names = ("pedestrian", "car", "cyclist")
    truths = [frame.truth for frame in frames]
    far = [dataclasses.replace(t, locations=t.locations * 1.2) for t in truths]

    metrics = measure("kitti", frames, truths, names)
    assert isinstance(metrics, KittiMetrics)
    assert car(metrics, "bev") == pytest.approx(car(metrics, "2d"))
    assert car(metrics, "bev") > 90
    assert car(measure("kitti", frames, far, names), "bev") < 30


def test_whoever_finds_an_ignored_car_loses_nothing(frames):
    names = ("pedestrian", "car", "cyclist")
    truths = [frame.truth for frame in frames]
    everything = [Detections3D.concatenate([f.truth, f.ignored]) for f in frames]

    for metric in ("2d", "bev", "3d"):
        found = car(measure("kitti", frames, everything, names), metric)
        assert found == pytest.approx(car(measure("kitti", frames, truths, names), metric))


def test_own_classes_are_measured_beside_kittis():
    frame = StreetSamples(1, 1, "detection3d")[0]
    lines = tuple(dataclasses.replace(line, kind="Bus") for line in frame.label_lines)
    metrics = measure(
        "kitti", [dataclasses.replace(frame, label_lines=lines)], [frame.truth], ("bus",) * 3
    )

    assert sum(metrics.num_truths["bus"]) > 0


def test_an_unknown_benchmark_is_an_error():
    with pytest.raises(ValueError, match="unknown benchmark 'imagenet'; known: coco, voc, kitti"):
        measure("imagenet", [], [], ("a",))


def kitti_metrics(cyclists=4, **values):
    """Moderate AP|R40 of cars and cyclists by metric and overlap, as `bev_50=(30.0, None)`."""
    entries = [
        KittiEntry(name, key.split("_")[0], int(key.split("_")[1]) / 100, r40=(99.0, value, 0.0))
        for key, pair in values.items()
        for name, value in zip(("car", "cyclist"), pair, strict=True)
        if value is not None
    ]
    return KittiMetrics(1, {"car": (1, 1, 1), "cyclist": (0, cyclists, cyclists)}, tuple(entries))


def test_the_headline_of_kitti_is_the_ground_at_the_loose_overlap():
    metrics = kitti_metrics(**{"2d_70": (80, 10), "bev_70": (5, 1), "bev_50": (30, 20)})

    assert headline(metrics, "detection3d") == ("bev AP|R40 moderate", 25)
    assert headline(metrics, "detection2d") == ("2d AP|R40 moderate", 45)


def test_the_headline_of_kitti_leaves_out_classes_that_do_not_exist():
    for nothing in (0, None, float("nan")):
        assert headline(kitti_metrics(0, **{"bev_50": (30, nothing)}), "detection3d")[1] == 30
    boxes_alone = kitti_metrics(**{"2d_70": (80, 10), "2d_50": (90, 20)})
    assert headline(boxes_alone, "detection2d") == ("2d AP|R40 moderate", 45)


def test_a_class_that_is_never_found_counts_in_the_headline():
    """Else a network that begins to find it, badly, would look worse."""
    on_the_ground = kitti_metrics(**{"bev_50": (30, None)})
    assert headline(on_the_ground, "detection3d") == ("bev AP|R40 moderate", 15)
    in_the_image = kitti_metrics(**{"2d_70": (None, 20)})
    assert headline(in_the_image, "detection2d") == ("2d AP|R40 moderate", 10)


def test_the_headline_keeps_its_name_where_nothing_has_a_place_in_space_yet():
    """As in the first measurements of a run, whose best one must not be of another kind."""
    early = kitti_metrics(**{"2d_70": (80, 10)})
    assert headline(early, "detection3d") == ("bev AP|R40 moderate", 0)
    assert headline(kitti_metrics(), "detection2d") == ("2d AP|R40 moderate", 0)


def test_nothing_to_find_is_no_good_headline():
    empty = BoxMetrics(*[float("nan")] * 12)

    assert headline(empty, "detection2d") == ("AP", 0.0)
    assert headline(VocMetrics({"a": 0.5}, {"a": 0.25}, {"a": 1}), "detection2d") == ("mAP", 0.25)
