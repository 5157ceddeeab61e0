"""Raw images of a distorting lens to rectified ones, and points back."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch

from centernet_ros.calibration import IDENTITY, Calibration, CalibrationError
from centernet_ros.rectification import Rectification
from centernet_ros.structures import Detections2D, Poses

SIZE = 480, 640
K = (400.0, 0.0, 330.0, 0.0, 410.0, 235.0, 0.0, 0.0, 1.0)
P = (350.0, 0.0, 320.0, 0.0, 0.0, 350.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0)
COS, SIN = math.cos(0.02), math.sin(0.02)
TURNED = (COS, 0.0, SIN, 0.0, 1.0, 0.0, -SIN, 0.0, COS)
RAW = np.array([[320.0, 240.0], [100.0, 80.0], [560.0, 400.0], [200.0, 420.0]])
LENSES = {
    "plumb_bob": (-0.3, 0.1, 0.001, -0.002, 0.0),
    "rational_polynomial": (-0.3, 0.1, 0.001, -0.002, 0.01, 0.02, -0.01, 0.003),
    "equidistant": (-0.05, 0.01, -0.002, 0.0005),
}


def lens(model, **changes):
    camera = Calibration(640, 480, K, P, d=LENSES[model], distortion_model=model, r=TURNED)
    return dataclasses.replace(camera, **changes)


def by_opencv(camera, raw):
    """Raw pixels (N, 2) to rectified ones."""
    k, d = np.array(camera.k).reshape(3, 3), np.array(camera.d)
    r, p = np.array(camera.r).reshape(3, 3), np.array(camera.p).reshape(3, 4)
    raw = raw.reshape(-1, 1, 2)
    if camera.distortion_model == "equidistant":
        return cv2.fisheye.undistortPoints(raw, k, d, R=r, P=p).reshape(-1, 2)
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)
    return cv2.undistortPointsIter(raw, k, d, r, p, until).reshape(-1, 2)


@pytest.mark.parametrize("model", LENSES)
def test_points_find_back(model):
    camera = lens(model)
    rectified = torch.from_numpy(by_opencv(camera, RAW))
    np.testing.assert_allclose(Rectification(camera, SIZE).to_raw(rectified), RAW, atol=0.01)


@pytest.mark.parametrize("model", LENSES)
def test_a_picture_and_its_points_move_alike(model):
    rectification = Rectification(lens(model), SIZE)
    for point in [(200.0, 150.0), (480.0, 330.0)]:
        raw = rectification.to_raw(torch.tensor(point))
        image = np.zeros((*SIZE, 3), np.uint8)
        cv2.circle(image, [round(float(value)) for value in raw], 6, (255, 255, 255), -1)
        rows, columns = np.nonzero(rectification.apply(image).max(axis=2) > 127)
        np.testing.assert_allclose((columns.mean(), rows.mean()), point, atol=1)


def test_intrinsics_are_those_of_p():
    camera = Rectification(lens("plumb_bob"), SIZE).camera
    assert camera.projection.flatten().tolist() == list(P)


def test_without_p_and_r_the_camera_keeps_its_k():
    camera = lens("plumb_bob", p=(0.0,) * 12, r=(0.0,) * 9)
    rectification = Rectification(camera, SIZE)
    assert rectification.camera.projection[:, :3].flatten().tolist() == list(K)
    centre = torch.tensor([330.0, 235.0])
    np.testing.assert_allclose(rectification.to_raw(centre), centre, atol=1e-6)


def test_without_distortion_nothing_moves():
    camera = lens("plumb_bob", d=(), p=(0.0,) * 12, r=(0.0,) * 9)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    np.testing.assert_array_equal(Rectification(camera, SIZE).apply(image), image)


def test_a_fisheye_without_coefficients_is_a_fisheye():
    camera = lens("equidistant", d=(0.0,) * 4, r=(0.0,) * 9)
    rectified = torch.from_numpy(by_opencv(dataclasses.replace(camera, r=IDENTITY), RAW))
    np.testing.assert_allclose(Rectification(camera, SIZE).to_raw(rectified), RAW, atol=0.01)


def test_a_binned_window():
    window = lens("plumb_bob", roi=(40, 20, 480, 400), binning=(2, 2))
    rectification = Rectification(window, (200, 240))
    point = torch.tensor([120.0, 90.0])
    full = Rectification(lens("plumb_bob"), SIZE).to_raw(2 * point + torch.tensor([40.0, 20.0]))
    expected = (full - torch.tensor([40.0, 20.0])) / 2
    torch.testing.assert_close(rectification.to_raw(point), expected, atol=1e-6, rtol=0)


def test_an_image_resized_after_the_calibration():
    """The centre of pixel x comes to lie at (x + 0.5) / 2 - 0.5."""
    half = SIZE[0] // 2, SIZE[1] // 2
    with pytest.raises(CalibrationError, match="set rescale_calibration"):
        Rectification(lens("plumb_bob"), half)
    rectification = Rectification(lens("plumb_bob"), half, rescale=True)
    point = torch.tensor([120.0, 90.0])
    full = Rectification(lens("plumb_bob"), SIZE).to_raw(2 * point + 0.5)
    torch.testing.assert_close(rectification.to_raw(point), (full - 0.5) / 2, atol=1e-6, rtol=0)


def test_boxes_enclose_the_bent_box_and_joints_bend():
    rectification = Rectification(lens("plumb_bob"), SIZE)
    boxes = torch.tensor([[100.0, 60.0, 300.0, 200.0], [-50.0, 10.0, 20.0, 470.0]])
    values = {"scores": torch.ones(2), "labels": torch.zeros(2, dtype=torch.int64)}
    raw = rectification.results_to_raw(Detections2D(boxes, **values)).boxes
    corners = rectification.to_raw(boxes[:, :2]).float()
    assert (raw[:, :2] <= corners + 1e-3).all()
    assert (raw[:, 2:] >= rectification.to_raw(boxes[:, 2:]).float() - 1e-3).all()
    # A negative size, which a network may answer, stays one.
    inverted = Detections2D(boxes[:, [2, 1, 0, 3]], **values)
    assert rectification.results_to_raw(inverted).boxes.equal(raw[:, [2, 1, 0, 3]])
    # Beyond the image nothing runs wild.
    assert raw[1, 0] > -100
    keypoints = torch.full((2, 17, 2), 150.0)
    poses = Poses(boxes, keypoints=keypoints, keypoint_scores=torch.ones(2, 17), **values)
    bent = rectification.results_to_raw(poses)
    torch.testing.assert_close(bent.keypoints, rectification.to_raw(keypoints).float())
    assert len(rectification.results_to_raw(Detections2D.empty())) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"distortion_model": "thin_prism"}, "'thin_prism' with 5 coefficients is unknown"),
        ({"d": (0.1, 0.2)}, "'plumb_bob' with 2 coefficients is unknown"),
        ({"k": (0.0,) * 9}, "not calibrated"),
        ({"k": (*K[:8], 0.0)}, "K is skewed, or its last row is not 0, 0, 1"),
        ({"r": (1.0,) * 9}, "R is no rotation"),
        ({"width": 320}, "calibrated for 320x480 pixels, its image has 640x480"),
    ],
)
def test_what_cannot_be_undone_is_refused(changes, reason):
    with pytest.raises(CalibrationError, match=reason):
        Rectification(lens("plumb_bob", **changes), SIZE)
