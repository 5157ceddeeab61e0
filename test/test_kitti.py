"""KITTI's text files: what is ignored, and files of another form."""

import pytest
import torch

from centernet_ros.kitti import format_results, read_objects, read_projection, to_truth
from centernet_ros.structures import Detections2D, Detections3D

NUMBERS = "0.50 1 0.60 10.00 12.00 43.00 33.00 1.50 1.70 4.20 -2.00 1.50 12.00 0.40"
CLASSES = ("pedestrian", "car", "cyclist")


def lines(*kinds):
    return "\n".join(f"{kind} {NUMBERS}" for kind in kinds)


def test_label_line():
    (found,) = read_objects(lines("Car"))
    assert (found.kind, found.truncated, found.occluded, found.score) == ("Car", 0.5, 1, None)
    assert (found.alpha, found.yaw) == (0.6, 0.4)
    assert found.box == (10, 12, 43, 33)
    assert found.dimensions == (1.5, 1.7, 4.2)
    assert found.location == (-2, 1.5, 12)


def test_result_line_has_a_score():
    (found,) = read_objects(lines("Car") + " 0.87\n\n")
    assert found.score == 0.87
    assert to_truth([found], CLASSES)[0].scores.tolist() == pytest.approx([0.87])


def test_kinds_become_objects_ignored_regions_or_background():
    kinds = ("Van", "Cyclist", "Tram", "DontCare", "Person_sitting", "Car", "Misc", "Truck")
    truth, ignored = to_truth(read_objects(lines(*kinds)), CLASSES)
    assert truth.labels.tolist() == [2, 1]
    assert ignored.labels.tolist() == [1, -1, 0, 1]
    assert truth.scores.tolist() == [1, 1]


def test_only_the_wanted_classes():
    truth, ignored = to_truth(read_objects(lines("Car", "Van", "Person_sitting")), ("pedestrian",))
    assert len(truth) == 0
    assert ignored.labels.tolist() == [0]


def test_empty_files():
    truth, ignored = to_truth(read_objects(""), CLASSES)
    assert (len(truth), len(ignored)) == (0, 0)
    assert format_results(Detections3D.empty(), CLASSES) == ""


def test_boxes_without_3d():
    boxes = torch.tensor([[10.0, 12.0, 43.0, 33.004], [1.0, 2.0, 3.0, 4.0]])
    found = Detections2D(boxes, torch.tensor([0.875, 0.5]), torch.tensor([1, 0]))
    names = ("car", "traffic light")
    unknown = "-1.00 -1.00 -1.00 -1000.00 -1000.00 -1000.00 -10.00"
    assert format_results(found, names).splitlines() == [
        f"Car 0.0 0 -10.00 1.00 2.00 3.00 4.00 {unknown} 0.500000",
        f"Traffic_light 0.0 0 -10.00 10.00 12.00 43.00 33.00 {unknown} 0.875000",
    ]
    assert format_results(found, names, 2).splitlines()[1].endswith("-10.00 0.88")
    assert format_results(Detections2D.empty(), names) == ""
    assert read_objects(format_results(found, names))[1].kind == "Traffic_light"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines("Car") + "\nCar 1 2 3", "line 2: 4 fields, expected 15 or 16"),
        (lines("Car").replace("12.00", "twelve", 1), "line 1: could not convert .*twelve"),
    ],
)
def test_a_broken_line_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        read_objects(text)


def test_calibration():
    text = "P1: " + " ".join("0" * 12) + "\nP2: 1 0 2 3 0 1 4 5 0 0 1 6\n"
    assert read_projection(text).tolist() == [[1, 0, 2, 3], [0, 1, 4, 5], [0, 0, 1, 6]]
    assert read_projection(text, "P1").sum() == 0
    with pytest.raises(ValueError, match="no P3 in the calibration"):
        read_projection(text, "P3")
    with pytest.raises(ValueError, match="P2 has 2 numbers"):
        read_projection("P2: 1 2")
