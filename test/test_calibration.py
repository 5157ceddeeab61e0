"""camera_info to intrinsics: binning, windows, resized images, K and P, and what is refused."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch

from centernet_ros.calibration import (
    Calibration,
    CalibrationError,
    intrinsics_of,
)
from centernet_ros.structures import CameraIntrinsics

K = (700.0, 0.0, 610.0, 0.0, 710.0, 180.0, 0.0, 0.0, 1.0)
P = (720.0, 0.0, 600.0, 45.0, 0.0, 730.0, 170.0, 0.2, 0.0, 0.0, 1.0, 0.003)
CAMERA = Calibration(width=1242, height=375, k=K, p=P)
NO_P = (0.0,) * 12
POINT = torch.tensor([[3.0, -1.5, 21.0]], dtype=torch.float64)


def full_pixel(point=POINT):
    """Where P shows the point in the full image."""
    return CameraIntrinsics(torch.tensor(P).double().view(3, 4), (375, 1242)).project(point)[0]


def test_a_rectified_image_has_p():
    camera = intrinsics_of(CAMERA, (375, 1242))
    assert camera.image_size == (375, 1242)
    torch.testing.assert_close(camera.projection.flatten(), torch.tensor(P, dtype=torch.float64))


def test_without_p_and_distortion_k_counts():
    camera = intrinsics_of(dataclasses.replace(CAMERA, p=NO_P, d=(0.0,) * 5), (375, 1242))
    expected = torch.tensor(K, dtype=torch.float64).view(3, 3)
    torch.testing.assert_close(camera.projection[:, :3], expected)
    assert not camera.projection[:, 3].any()


@pytest.mark.parametrize(
    ("changes", "size", "reason"),
    [
        ({"k": (0.0,) * 9}, (375, 1242), r"not calibrated: K\[0\] is 0"),
        ({"k": (0.0, *K[1:])}, (375, 1242), r"not calibrated: K\[0\] is 0"),
        ({"k": (-700.0, *K[1:])}, (375, 1242), "focal lengths -700 and 710 in K are not positive"),
        ({"p": (math.nan, *P[1:])}, (375, 1242), "P holds a number that is not finite"),
        ({"k": (*K[:2], math.inf, *K[3:])}, (375, 1242), "K holds a number that is not finite"),
        ({"d": (math.nan,)}, (375, 1242), "D holds a number that is not finite"),
        ({"p": (*P[:5], -1.0, *P[6:])}, (375, 1242), "720 and -1 in P are not positive"),
        ({"p": (*P[:3], 1e300, *P[4:])}, (375, 1242), r"P holds 1e\+300: no camera has such"),
        ({"p": (0.58, *P[1:])}, (375, 1242), "0.58 and 730 in P are less than a pixel"),
        ({"roi": (900, 0, 1242, 375)}, (375, 1242), "ROI of 1242x375 pixels at 900, 0 is no part"),
        ({"roi": (0, 7, 0, 0)}, (375, 1242), "ROI of 0x0 pixels at 0, 7 is no part of its 1242x"),
        ({"p": (P[0], 5.0, *P[2:])}, (375, 1242), "P is skewed"),
        ({"p": (*P[:10], 2.0, P[11])}, (375, 1242), "P is skewed, or its last row"),
        ({"p": NO_P, "d": (-0.3,)}, (375, 1242), "rectify the images .* or set undistort"),
        (
            {"p": NO_P, "d": (0.0,) * 4, "distortion_model": "equidistant"},
            (375, 1242),
            "its lens distorts: rectify the images",
        ),
        ({}, (376, 1242), "calibrated for 1242x375 pixels, its image has 1242x376"),
        ({}, (720, 1280), "calibrated for 1242x375 pixels, its image has 1280x720"),
        ({}, (750, 2484), "set rescale_calibration if it is the whole image resized"),
        ({"width": 0, "height": 0}, (375, 1242), "calibrated for 0x0 pixels"),
        ({"binning": (2, 2)}, (375, 1242), "calibrated for 621x187 pixels"),
    ],
)
def test_what_tells_no_place_is_refused(changes, size, reason):
    with pytest.raises(CalibrationError, match=reason):
        intrinsics_of(dataclasses.replace(CAMERA, **changes), size)


def test_misshapen_numbers_are_refused():
    with pytest.raises(CalibrationError, match="K has 4 numbers, expected 9"):
        Calibration(width=4, height=4, k=(1.0,) * 4, p=P)
    with pytest.raises(CalibrationError, match="D has 15 numbers, expected 14 at most"):
        Calibration(width=4, height=4, k=K, p=P, d=(0.0,) * 15)


def test_another_shape_is_no_resized_image():
    with pytest.raises(CalibrationError, match=r"its image has 1280x720$"):
        intrinsics_of(CAMERA, (720, 1280), rescale=True)


def test_binned_pixels_are_larger():
    binned = dataclasses.replace(CAMERA, binning=(2, 3))
    camera = intrinsics_of(binned, (125, 621))
    pixel = camera.project(POINT)[0]
    torch.testing.assert_close(pixel, full_pixel() / torch.tensor([2.0, 3.0]))


def test_binning_of_0_and_1_is_none():
    for binning in ((0, 0), (1, 1), (0, 1)):
        camera = intrinsics_of(dataclasses.replace(CAMERA, binning=binning), (375, 1242))
        torch.testing.assert_close(camera.project(POINT)[0], full_pixel())


def test_a_window_shifts_pixels():
    window = dataclasses.replace(CAMERA, roi=(100, 50, 800, 300))
    camera = intrinsics_of(window, (300, 800))
    torch.testing.assert_close(camera.project(POINT)[0], full_pixel() - torch.tensor([100.0, 50.0]))
    with pytest.raises(CalibrationError, match="calibrated for 800x300"):
        intrinsics_of(window, (375, 1242))


def test_a_window_is_binned_after_the_shift():
    window = dataclasses.replace(CAMERA, roi=(100, 50, 800, 300), binning=(2, 2))
    camera = intrinsics_of(window, (150, 400))
    expected = (full_pixel() - torch.tensor([100.0, 50.0])) / 2
    torch.testing.assert_close(camera.project(POINT)[0], expected)


@pytest.mark.parametrize("size", [(750, 2484), (188, 621), (120, 397)])
def test_a_resized_image_shows_the_point_where_the_resize_puts_it(size):
    camera = intrinsics_of(CAMERA, size, rescale=True)
    image = np.zeros((375, 1242), np.float32)
    x, y = full_pixel().round().int().tolist()
    image[y - 4 : y + 5, x - 4 : x + 5] = 1
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    rows, columns = np.mgrid[: size[0], : size[1]]
    found = [(grid * resized).sum() / resized.sum() for grid in (columns, rows)]
    pixel = camera.project(POINT)[0] - (full_pixel() - torch.tensor([x, y])) * size[1] / 1242
    np.testing.assert_allclose(found, pixel, atol=0.05)


def test_baseline_moves_a_near_point_more():
    """A point between the rays of the two cameras of a rig: P[0, 3] is minus focal times base."""
    rig = dataclasses.replace(CAMERA, p=(*P[:3], -720.0 * 0.5, *P[4:7], 0.0, *P[8:11], 0.0))
    camera = intrinsics_of(rig, (375, 1242))
    pixel = camera.project(torch.tensor([[0.5, 0.0, 10.0]]))[0]
    assert pixel[0] == pytest.approx(600.0)
    back = camera.unproject(pixel, torch.tensor(10.0))
    torch.testing.assert_close(back, torch.tensor([0.5, 0.0, 10.0], dtype=torch.float64))
