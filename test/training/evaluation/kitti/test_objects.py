import pytest
import torch

from centernet_ros.structures import Detections2D, Detections3D
from training.evaluation.kitti import (
    KittiFrame,
    evaluate_kitti,
    ignored_objects,
    kitti_objects,
)

NAMES = ("pedestrian", "car", "cyclist")
BOXES = torch.tensor([[10.0, 20, 90, 80], [200, 20, 290, 90]])


def cars(scores=(1.0, 1.0)):
    return Detections3D(
        boxes=BOXES,
        scores=torch.tensor(scores),
        labels=torch.tensor([1, 2]),
        dimensions=torch.tensor([[1.5, 1.6, 3.9], [1.7, 0.6, 1.8]]),
        locations=torch.tensor([[1.0, 1.6, 10], [5, 1.6, 12]]),
        yaws=torch.tensor([0.4, -0.5]),
        alphas=torch.tensor([0.3, -0.9]),
    )


def test_3d_boxes_keep_everything():
    first, second = kitti_objects(cars((0.5, 0.25)), NAMES, truncated=[0.0, 0.5], occluded=[1, 2])
    assert (first.kind, first.score, first.truncated, first.occluded) == ("car", 0.5, 0, 1)
    assert (second.kind, second.score, second.truncated, second.occluded) == (
        "cyclist",
        0.25,
        0.5,
        2,
    )
    assert first.box == (10, 20, 90, 80)
    assert second.dimensions == pytest.approx((1.7, 0.6, 1.8))
    assert second.location == pytest.approx((5, 1.6, 12))
    assert (second.yaw, second.alpha) == pytest.approx((-0.5, -0.9))


def test_boxes_alone_are_measured_in_the_image_only():
    flat = Detections2D(BOXES, torch.ones(2), torch.tensor([1, 2]))
    frame = KittiFrame("0", kitti_objects(cars(), NAMES), kitti_objects(flat, NAMES))
    metrics = evaluate_kitti([frame])
    assert metrics.entry("Car", "2d", 0.7).r11 == pytest.approx((100 / 11,) * 3)
    assert [metrics.entry("Car", m, 0.7).r11 for m in ("aos", "bev", "3d")] == [None] * 3


def test_ignored_regions_excuse_results():
    region = Detections2D(BOXES[:1], torch.ones(1), torch.tensor([0]))
    for label, kind in ((-1, "dontcare"), (1, "car")):
        region = Detections2D(BOXES[:1], torch.ones(1), torch.tensor([label]))
        (item,) = ignored_objects(region, NAMES)
        assert item.kind == kind
        frame = KittiFrame("0", [item], kitti_objects(cars(), NAMES))
        metrics = evaluate_kitti([frame])
        curve = metrics.entry("Car", "2d", 0.7).curves[0]
        assert (metrics.num_truths["Car"][0], curve.num_truths) == (0, 0)


def test_a_region_of_one_class_is_no_false_alarm():
    truth = kitti_objects(cars(), NAMES)
    other = Detections2D(BOXES[:1] + 300, torch.ones(1), torch.tensor([1]))
    alarm = kitti_objects(Detections2D(BOXES[:1] + 300, torch.tensor([2.0]), other.labels), NAMES)
    results = [*kitti_objects(cars(), NAMES), *alarm]
    alarms = {}
    for name, regions in (("plain", []), ("region", ignored_objects(other, NAMES))):
        metrics = evaluate_kitti([KittiFrame("0", [*truth, *regions], results)])
        alarms[name] = metrics.entry("Car", "2d", 0.7).curves[0].alarms.tolist()
    assert alarms == {"plain": [1], "region": [0]}
