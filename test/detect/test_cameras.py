"""Calibration files of KITTI, ROS and OpenCV, and each thing that can be wrong with one."""

import cv2
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


@pytest.fixture
def opencv_file(tmp_path):
    """Writes a calibration with OpenCV's own writer."""

    def write(coefficients=(0.0,) * 5, **more):
        path = tmp_path / "opencv.yml"
        storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
        matrix = np.array([[100.5, 0, 48], [0, 101, 24], [0, 0, 1]])
        entries = {"calibration_time": "Sat Nov 28", "image_width": 96, "image_height": 48}
        entries |= {"camera_matrix": matrix, "distortion_coefficients": np.array([coefficients])}
        for key, value in (entries | more).items():
            storage.write(key, value)
        storage.release()
        assert path.read_text().startswith("%YAML:1.0")
        return path

    return write


def test_a_file_of_opencv(opencv_file):
    camera = camera_of(opencv_file())
    assert camera.projection.tolist() == [[100.5, 0, 48, 0], [0, 101, 24, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("coefficients", "more", "undistort_map"),
    [
        ((-0.3, 0.1, 0, 0, 0), {}, cv2.initUndistortRectifyMap),
        ((-0.3, 0.1, 0, 0, 0, 0.2, 0, 0), {}, cv2.initUndistortRectifyMap),
        ((-0.1, 0, 0, 0), {"fisheye_model": 1}, cv2.fisheye.initUndistortRectifyMap),
    ],
)
def test_lenses_of_opencv_are_rectified_as_opencv_does(
    opencv_file, coefficients, more, undistort_map
):
    path = opencv_file(coefficients, **more)
    with pytest.raises(CalibrationError, match=r"its lens distorts: .*detect: --undistort"):
        read_camera(path)
    image = np.random.default_rng(0).integers(0, 256, (48, 96, 3), np.uint8)
    rectified, camera = read_camera(path, undistort=True)(image)
    k = np.array([[100.5, 0, 48], [0, 101, 24], [0, 0, 1]])
    maps = undistort_map(k, np.array(coefficients), np.eye(3), k, (96, 48), cv2.CV_16SC2)
    assert np.array_equal(rectified, cv2.remap(image, *maps, cv2.INTER_LINEAR))
    assert camera.projection[:, :3].tolist() == k.tolist()


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
        ({"camera_name: front": "roi: [0, 0, 0, 0]"}, "key 'roi' holds .*, expected x_offset"),
        ({"camera_name: front": "roi: {width: x}"}, "key 'roi.width' holds .*expected numbers"),
        ({"camera_name: front": "binning_x: 1.5"}, "'binning_x' holds 1.5, expected a whole"),
        ({"image_width: 96": "image_width: .inf"}, "'image_width' holds inf, expected a whole"),
    ],
)
def test_a_damaged_file_is_refused(camera_yaml, changes, reason):
    path = camera_yaml(**changes)
    with pytest.raises(CalibrationError, match=rf"calibration .*camera\.yaml: .*{reason}"):
        read_camera(path)


@pytest.mark.parametrize("line", ["binning_x:", "roi:", "roi: {width:}"])
def test_an_empty_key_of_the_window_is_none(camera_yaml, line):
    assert camera_of(camera_yaml(**{"camera_name: front": line})).projection.tolist() == P


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
