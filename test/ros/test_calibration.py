"""CameraInfo messages to the geometry of an image, and results back to the camera's pixels."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from centernet_ros.calibration import calibration_of
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.calibration import Calibrator
from centernet_ros.ros.frame import finish, in_camera_pixels, open_frame
from centernet_ros.ros.pairing import Arrival
from centernet_ros.ros.parameters import NodeParameters
from centernet_ros.structures import Detections2D, Detections3D

SIZE = 480, 640
HEADER = Header(frame_id="front_optical")
PRESET = ModelPreset("detection3d", "resnet18", ("car",), (192, 256))


def info(**changes):
    message = CameraInfo(height=480, width=640, distortion_model="plumb_bob", header=HEADER)
    message.d = [-0.3, 0.1, 0.001, -0.002, 0.0]
    message.k = [400.0, 0.0, 330.0, 0.0, 410.0, 235.0, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [350.0, 0.0, 320.0, -35.0, 0.0, 350.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.binning_x, message.binning_y = 1, 1
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def geometry(message, *, undistort=False, header=HEADER, size=SIZE, rescale=False):
    calibrator = Calibrator("/camera_info", undistort=undistort)
    return calibrator.geometry_of(message, header, size, rescale=rescale)


def test_all_numbers_are_taken_over():
    message = info()
    roi = message.roi
    roi.x_offset, roi.y_offset, roi.width, roi.height = 1, 2, 300, 200
    calibration = calibration_of(message)
    assert (calibration.width, calibration.height) == (640, 480)
    assert calibration.k == tuple(message.k)
    assert calibration.p == tuple(message.p)
    assert calibration.r == tuple(message.r)
    assert calibration.d == tuple(message.d)
    assert calibration.distortion_model == "plumb_bob"
    assert calibration.binning == (1, 1)
    assert calibration.roi == (1, 2, 300, 200)


def test_a_rectified_image_has_the_projection_of_its_camera_info():
    found = geometry(info())
    assert found.camera.projection.flatten().tolist() == list(info().p)
    assert found.rectification is None
    assert found.problem == ""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "no camera_info came on /camera_info"),
        (info(k=[0.0] * 9), "not calibrated"),
        (info(header=Header(frame_id="rear")), "of frame 'rear', the image of frame 'front_opt"),
        (info(width=320), "calibrated for 320x480 pixels"),
    ],
)
@pytest.mark.parametrize("undistort", [False, True])
def test_without_a_sound_calibration_there_is_no_geometry(message, reason, undistort):
    found = geometry(message, undistort=undistort)
    assert (found.camera, found.rectification) == (None, None)
    assert reason in found.problem


@pytest.mark.parametrize("frames", [("", "front_optical"), ("front_optical", ""), ("", "")])
def test_a_frame_that_is_not_told_is_no_other_frame(frames):
    message = info(header=Header(frame_id=frames[0]))
    assert geometry(message, header=Header(frame_id=frames[1])).problem == ""


def test_maps_are_made_once_for_a_calibration():
    calibrator = Calibrator("/camera_info", undistort=True)
    first, second = (
        calibrator.geometry_of(message, HEADER, SIZE, rescale=False).rectification
        for message in (info(), info())
    )
    assert first is second
    other = calibrator.geometry_of(info(d=[0.1] * 5), HEADER, SIZE, rescale=False).rectification
    assert other is not first


def frame_of(image_message, message, *, undistort, image=None):
    stream = SimpleNamespace(calibrator=Calibrator("/camera_info", undistort=undistort))
    if image is None:
        image = np.zeros((*SIZE, 3), np.uint8)
    arrival = Arrival(image_message(image), 0, 0, 0.0, message)
    arrival.message.header = HEADER
    return open_frame(stream, arrival, PRESET, NodeParameters())


def boxes_3d():
    return Detections3D(
        boxes=torch.tensor([[100.0, 60.0, 300.0, 200.0]]),
        scores=torch.tensor([0.9]),
        labels=torch.tensor([0]),
        dimensions=torch.tensor([[1.5, 1.7, 4.2]]),
        locations=torch.tensor([[1.0, 1.5, 20.0]]),
        yaws=torch.tensor([0.1]),
        alphas=torch.tensor([0.2]),
    )


def test_raw_images_are_rectified_and_results_told_in_raw_pixels(image_message):
    raw = np.zeros((*SIZE, 3), np.uint8)
    cv2.circle(raw, (120, 90), 6, (255, 255, 255), -1)
    frame = frame_of(image_message, info(), undistort=True, image=raw)
    rows, columns = np.nonzero(frame.image.max(axis=2) > 127)
    x, y = columns.mean(), rows.mean()
    assert abs(x - 120) > 5, "the lens distorts"
    results = Detections2D(
        torch.tensor([[x - 1, y - 1, x + 1, y + 1]]), torch.ones(1), torch.zeros(1).long()
    )
    (box,) = in_camera_pixels(frame, results).boxes
    np.testing.assert_allclose(((box[:2] + box[2:]) / 2), (120, 90), atol=1)
    assert frame.view.camera is frame.geometry.camera


def test_what_has_no_calibration_has_no_place(image_message):
    parameters = NodeParameters()
    sound = frame_of(image_message, info(), undistort=False)
    assert isinstance(finish(sound, boxes_3d(), ("car",), parameters), Detections3D)
    lost = frame_of(image_message, None, undistort=False)
    results = finish(lost, boxes_3d(), ("car",), parameters)
    assert type(results) is Detections2D
    assert results.boxes.tolist() == boxes_3d().boxes.tolist()
    assert lost.geometry.camera is None
