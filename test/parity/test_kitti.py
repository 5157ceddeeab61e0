"""Geometry and text files of KITTI against the authors' numbers."""

import ast

import numpy as np
import pytest
import torch

from centernet_ros.kitti import format_results, read_objects, read_projection
from centernet_ros.structures import CameraIntrinsics, Detections3D
from centernet_ros.tasks.detection3d.angle import decode_alpha, encode_alpha, wrap
from centernet_ros.tasks.detection3d.geometry import alpha_to_yaw, locate, yaw_to_alpha

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
CLASSES = ("pedestrian", "car", "cyclist")


@pytest.fixture
def numbers(reference):
    return {name: value.double() for name, value in reference.tensors("kitti/geometry.npz").items()}


@pytest.fixture(params=["A", "B"])
def camera(request, numbers):
    """One of the two cameras, and a look-up of what the authors computed with it."""
    projection = numbers[f"{request.param}/P"]
    return CameraIntrinsics(projection, (375, 1242)), lambda name: numbers[
        f"{request.param}/{name}"
    ]


def boxes_3d(numbers):
    count = len(numbers["in/ry"])
    return Detections3D(
        boxes=torch.zeros(count, 4),
        scores=torch.ones(count),
        labels=torch.zeros(count, dtype=torch.int64),
        dimensions=numbers["in/dim_hwl"],
        locations=numbers["in/loc"],
        yaws=numbers["in/ry"],
        alphas=numbers["in/alpha"],
    )


def test_yaw_and_alpha(numbers, camera):
    camera, expected = camera
    yaws = alpha_to_yaw(camera, numbers["in/alpha"], numbers["in/x"])
    torch.testing.assert_close(yaws, expected("alpha2rot_y"), **CLOSE)
    alphas = yaw_to_alpha(camera, numbers["in/ry"], numbers["in/x"])
    torch.testing.assert_close(alphas, expected("rot_y2alpha"), **CLOSE)


def test_location(numbers, camera):
    camera, expected = camera
    pixels = torch.stack([numbers["in/x"], numbers["in/y"]], dim=-1)
    points = camera.unproject(pixels, numbers["in/depth"])
    torch.testing.assert_close(points, expected("unproject"), **CLOSE)
    heights = numbers["in/dim_hwl"][:, 0]
    places = locate(camera, pixels, numbers["in/depth"], heights)
    torch.testing.assert_close(places, expected("ddd2locrot_loc"), **CLOSE)
    yaws = alpha_to_yaw(camera, numbers["in/alpha"], numbers["in/x"])
    torch.testing.assert_close(yaws, expected("ddd2locrot_ry"), **CLOSE)


def test_projection_and_corners(numbers, camera):
    camera, expected = camera
    pixels = camera.project(numbers["in/loc"])
    torch.testing.assert_close(pixels, expected("project"), rtol=1e-5, atol=1e-4)
    corners = boxes_3d(numbers).corners()
    torch.testing.assert_close(corners, expected("corners3d"), **CLOSE)
    torch.testing.assert_close(camera.project(corners), expected("corners2d"), rtol=1e-5, atol=1e-4)


def test_direction(numbers, camera):
    """The authors' arrow goes from the bottom's centre to the middle of its front edge."""
    _, expected = camera
    boxes = boxes_3d(numbers)
    length = boxes.dimensions[:, 2:]
    forward = torch.stack([boxes.yaws.cos(), 0 * boxes.yaws, -boxes.yaws.sin()], dim=-1)
    front = boxes.corners()[:, :2].mean(1)
    torch.testing.assert_close(front, boxes.locations + length / 2 * forward, **CLOSE)
    arrow = torch.stack([boxes.locations, boxes.locations + length * forward], dim=1)
    torch.testing.assert_close(arrow, expected("orientation3d"), **CLOSE)


def test_eight_numbers_of_an_angle(numbers):
    encoded = encode_alpha(numbers["alpha8/in"])
    torch.testing.assert_close(encoded, numbers["alpha8/enc"], **CLOSE)
    torch.testing.assert_close(decode_alpha(encoded), numbers["alpha8/dec"], **CLOSE)
    torch.testing.assert_close(wrap(decode_alpha(encoded)).cos(), numbers["alpha8/in"].cos())


@pytest.mark.parametrize("split", ["train", "val"])
def test_label_and_calibration_files(reference, split):
    """The records that the authors' converter made of the texts."""
    document = reference.json("kitti/convert.json")
    converted = document["converted"]
    if isinstance(converted, str):
        converted = ast.literal_eval(converted)
    names = [name for name in converted if name.endswith(f"_{split}.json")]
    assert names
    for name in names:
        kinds = {item["id"]: item["name"] for item in converted[name]["categories"]}
        for image in converted[name]["images"]:
            texts = document["files"][image["file_name"].removesuffix(".png")]
            projection = read_projection("\n".join(texts["calib"]))
            torch.testing.assert_close(
                projection, torch.tensor(image["calib"]).double(), rtol=1e-6, atol=1e-6
            )
            records = [a for a in converted[name]["annotations"] if a["image_id"] == image["id"]]
            objects = read_objects("\n".join(texts["label"]))
            assert len(objects) == len(records)
            for found, record in zip(objects, records, strict=True):
                x1, y1, x2, y2 = found.box
                assert found.kind == kinds[record["category_id"]]
                assert [x1, y1, x2 - x1, y2 - y1] == pytest.approx(record["bbox"], rel=1e-9)
                assert list(found.dimensions) == record["dim"]
                assert list(found.location) == record["location"]
                assert found.location[2] == record["depth"]
                assert (found.alpha, found.yaw) == (record["alpha"], record["rotation_y"])
                assert (int(found.truncated), found.occluded) == (
                    record["truncated"],
                    record["occluded"],
                )


def test_result_files(reference):
    document = reference.json("kitti/result_files.json")
    assert document["files"]
    for image, by_class in document["input"].items():
        rows = [(int(label) - 1, row) for label, rows in by_class.items() for row in rows]
        labels = torch.tensor([label for label, _ in rows], dtype=torch.int64)
        values = torch.from_numpy(np.array([row for _, row in rows], np.float32).reshape(-1, 13))
        detections = Detections3D(
            alphas=values[:, 0],
            boxes=values[:, 1:5],
            dimensions=values[:, 5:8],
            locations=values[:, 8:11],
            yaws=values[:, 11],
            scores=values[:, 12],
            labels=labels,
        )
        # Whatever their order, results are written class by class.
        order = (-labels).argsort(stable=True)
        for given in (detections, detections[order]):
            text = format_results(given, CLASSES, score_decimals=2)
            assert text == document["files"][f"{int(image):06d}.txt"]
        back = read_objects(format_results(detections, CLASSES))
        assert [item.score for item in back] == pytest.approx(values[:, 12].tolist(), abs=0.006)
