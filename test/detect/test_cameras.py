"""Calibration files of KITTI and ROS, and each thing that can be wrong with one."""

import numpy as np
import pytest

from centernet_ros.calibration import CalibrationError
from centernet_ros.detect.cameras import read_camera

IMAGE = np.zeros((48, 96, 3), np.uint8)
P = [[90, 0, 47, 0], [0, 91, 23, 0], [0, 0, 1, 0]]


def camera_of(path, image=IMAGE, **options):
    return read_camera(path, **options)(image)[1]


def test_a_file_of_camera_calibration(camera_yaml):
    camera = camera_of(camera_yaml())
    assert camera.projection.tolist() == P
    assert camera.image_size == (48, 96)


def test_a_shown_camera_info(tmp_path):
    path = tmp_path / "info.yaml"
    path.write_text(
        "header:\n  frame_id: front\nheight: 96\nwidth: 192\ndistortion_model: plumb_bob\n"
        "d: []\nk: [100, 0, 96, 0, 100, 48, 0, 0, 1]\nr: [1, 0, 0, 0, 1, 0, 0, 0, 1]\n"
        "p: [100, 0, 96, 0, 0, 100, 48, 0, 0, 0, 1, 0]\nbinning_x: 2\nbinning_y: 2\n"
        "roi:\n  x_offset: 0\n  y_offset: 0\n  height: 0\n  width: 0\n  do_rectify: false\n---\n"
    )
    assert camera_of(path).projection.tolist() == [[50, 0, 48, 0], [0, 50, 24, 0], [0, 0, 1, 0]]


def test_a_file_of_kitti_fits_any_image(kitti):
    path = kitti / "calib/000003.txt"
    assert camera_of(path).projection[0].tolist() == pytest.approx([103, 0, 48, 4.5])
    assert camera_of(path, np.zeros((10, 20, 3), np.uint8)).image_size == (10, 20)


def test_raw_images_are_rectified_on_demand(camera_yaml):
    image = np.zeros((48, 96, 3), np.uint8)
    image[:, ::8] = 255
    path = camera_yaml(k1=-0.3)
    taken, _ = read_camera(path)(image)
    assert taken is image
    rectified, camera = read_camera(path, undistort=True)(image)
    assert rectified.shape == image.shape
    assert not np.array_equal(rectified, image)
    assert camera.projection.tolist() == P


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"camera_matrix": "matrix"}, "key 'camera_matrix' is missing"),
        (
            {"data: [90.0, 0.0,": "data: [90.0,"},
            "'projection_matrix' holds 11 numbers",
        ),
        ({"[100.0, 0.0, 48.0": "[0.0, 0.0, 48.0"}, r"not calibrated: K\[0\] is 0"),
        ({"[100.0, 0.0, 48.0": "[f, 0.0, 48.0"}, "'camera_matrix' holds .* expected numbers"),
        ({"image_height: 48": "image_height:"}, "key 'image_height' is missing"),
        ({"camera_name: front": "camera_name: [front"}, "it is no YAML"),
    ],
)
def test_a_damaged_file_is_refused(camera_yaml, changes, reason):
    path = camera_yaml(**changes)
    with pytest.raises(CalibrationError, match=rf"calibration .*camera\.yaml: .*{reason}"):
        read_camera(path)


def test_an_image_of_another_size_is_refused(camera_yaml):
    with pytest.raises(CalibrationError, match="calibrated for 96x48 pixels, its image"):
        camera_of(camera_yaml(), np.zeros((40, 100, 3), np.uint8))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "it is neither a KITTI calib file .* nor a camera_info"),
        ("P2: 1 2 3\n", "P2 has 3 numbers"),
        ("P2: 700 0 nan 0 0 700 32 0 0 0 1 0\n", "projection holds a number that is not finite"),
        ("P2: 0 0 48 0 0 700 32 0 0 0 1 0\n", "projection has no positive focal length"),
    ],
)
def test_other_files_are_refused(tmp_path, text, reason):
    path = tmp_path / "some.txt"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=rf"some\.txt: {reason}"):
        read_camera(path)
    with pytest.raises(CalibrationError, match=r"missing\.txt cannot be read"):
        read_camera(tmp_path / "missing.txt")


def test_kitti_needs_no_rectification(kitti):
    with pytest.raises(CalibrationError, match="leave --undistort out"):
        read_camera(kitti / "calib/000003.txt", undistort=True)
