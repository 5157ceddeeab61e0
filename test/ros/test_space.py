"""3D boxes of a calibrated camera, and none of any other: the node as a process, all over DDS."""

import math
import re

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray, Detection3DArray

from headers import HEADERS, assert_every_output_echoes
from truth import assert_places

SIZE = 375, 1242
CAR = (0, 255, 0)
BOXES = [(300, 100, 521, 200), (901, 151, 1020, 190)]
P = (721.5, 0.0, 609.6, 44.9, 0.0, 721.5, 172.9, 0.2, 0.0, 0.0, 1.0, 0.003)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    with start_node(variables={"STAND_IN_TASK": "detection3d"}) as child:
        child.wait_for_output("detection3d with resnet18", 60)
        yield child


@pytest.fixture(scope="module")
def camera(peer):
    with peer.publishing(Image, "image") as publisher:
        yield publisher


@pytest.fixture
def infos(peer):
    with peer.publishing(CameraInfo, "camera_info") as publisher:
        peer.spin_until(lambda: publisher.get_subscription_count() > 0)
        yield publisher


@pytest.fixture(scope="module")
def flat(peer):
    with peer.listening(Detection2DArray, "centernet/detections_2d") as received:
        yield received


@pytest.fixture(scope="module")
def solid(peer):
    with peer.listening(Detection3DArray, "centernet/detections_3d") as received:
        yield received


@pytest.fixture(scope="module")
def scene(picture, image_message):
    return image_message(picture(SIZE, *((box, CAR) for box in BOXES)))


def info(**changes):
    message = CameraInfo(height=SIZE[0], width=SIZE[1], distortion_model="plumb_bob")
    message.k = [P[0], 0.0, P[2], 0.0, P[5], P[6], 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = list(P)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def exchange(peer, camera, infos, image, calibration, received):
    """Publish an image with its camera_info until the answer comes; give the answer."""
    header = peer.next_header(image)
    calibration.header = header

    def publish():
        infos.publish(calibration)
        camera.publish(image)

    return peer.spin_until(lambda: answer_to(header, received), every=0.2, do=publish)


def answer_to(header, received):
    return next((answer for answer in received if answer.header == header), None)


def send_until_said(peer, node, camera, infos, image, calibration, pattern):
    """Publish, since warnings keep a distance of a second, until the node's log says so."""
    frame = calibration.header.frame_id

    def publish():
        calibration.header.stamp = peer.next_header(image).stamp
        calibration.header.frame_id = frame or image.header.frame_id
        infos.publish(calibration)
        camera.publish(image)

    peer.spin_until(lambda: re.search(pattern, node.output), every=0.2, do=publish)


def test_places_angles_and_headers(peer, camera, infos, scene, solid, flat):
    array = exchange(peer, camera, infos, scene, info(), solid)
    assert_places(array, BOXES, P)
    for detection in array.detections:
        assert detection.header == array.header
        assert detection.id == ""
        assert detection.results[0].hypothesis.class_id == "car"
        assert detection.results[0].pose.pose == detection.bbox.center
    boxes = peer.spin_until(lambda: answer_to(array.header, flat))
    found = sorted((d.bbox.center.position.x, d.bbox.size_x) for d in boxes.detections)
    np.testing.assert_allclose(found, [(410.5, 221), (960.5, 119)], atol=0.01)


def test_an_empty_scene_gives_an_empty_array(peer, camera, infos, picture, image_message, solid):
    empty = image_message(picture(SIZE))
    assert exchange(peer, camera, infos, empty, info(), solid).detections == []


def test_a_calibration_that_changes_counts_at_once(peer, camera, infos, scene, solid):
    near = tuple(value * (2 if i < 8 and i not in (2, 6) else 1) for i, value in enumerate(P))
    for p in (P, near, P):
        array = exchange(peer, camera, infos, scene, info(p=list(p)), solid)
        assert_places(array, BOXES, p)


def test_a_window_of_binned_pixels(peer, camera, infos, scene, solid):
    full = info(height=2 * SIZE[0] + 100, width=2 * SIZE[1] + 200, binning_x=2, binning_y=2)
    full.roi.x_offset, full.roi.y_offset = 60, 20
    full.roi.width, full.roi.height = 2 * SIZE[1], 2 * SIZE[0]
    to_full = np.array([[2.0, 0, 60], [0, 2, 20], [0, 0, 1]])
    full.p = (to_full @ np.array(P).reshape(3, 4)).flatten().tolist()
    assert_places(exchange(peer, camera, infos, scene, full, solid), BOXES, P)


UNUSABLE = {
    r"not calibrated: K\[0\] is 0": {"k": [0.0] * 9},
    "P holds a number that is not finite": {"p": [math.nan, *P[1:]]},
    r"calibrated for 640x480 pixels, its image has 1242x375": {"width": 640, "height": 480},
    "its lens distorts: rectify the images": {"p": [0.0] * 12, "d": [0.1] * 5},
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_an_unusable_calibration_gives_no_box_in_space_but_2d(
    peer, node, camera, infos, scene, solid, flat, reason
):
    array = exchange(peer, camera, infos, scene, info(**UNUSABLE[reason]), flat)
    assert len(array.detections) == 2
    in_space = peer.spin_until(lambda: answer_to(array.header, solid))
    assert in_space.detections == []
    said = rf"no 3D boxes for /image: .*{reason}"
    send_until_said(peer, node, camera, infos, scene, info(**UNUSABLE[reason]), said)
    # And back again.
    assert_places(exchange(peer, camera, infos, scene, info(), solid), BOXES, P)


def test_a_calibration_of_another_frame_is_another_cameras(peer, node, camera, infos, scene, solid):
    foreign = info()
    foreign.header.frame_id = "rear_optical"
    said = "of frame 'rear_optical', the image of frame 'camera_.*another camera's"
    before = peer.next_header(scene).stamp.sec
    send_until_said(peer, node, camera, infos, scene, foreign, said)
    answers = peer.spin_until(lambda: [a for a in solid if a.header.stamp.sec > before])
    assert not any(answer.detections for answer in answers)


@pytest.fixture
def set_parameter(peer):
    """Sets a number or a truth value; puts it back."""
    before = {"training_focal_length": 0.0, "rescale_calibration": False}

    def set_value(name, value):
        kind = "bool" if isinstance(value, bool) else "double"
        entry = ParameterValue(**{f"{kind}_value": value})
        entry.type = getattr(ParameterType, f"PARAMETER_{kind.upper()}")
        request = SetParameters.Request(parameters=[Parameter(name=name, value=entry)])
        (result,) = peer.call(SetParameters, "centernet/set_parameters", request).results
        assert result.successful, result.reason

    yield set_value
    for name, value in before.items():
        set_value(name, value)


def test_depths_by_the_focal_length_of_the_training(
    peer, camera, infos, scene, solid, set_parameter
):
    on_input = P[0] * 640 / SIZE[1]
    set_parameter("training_focal_length", on_input / 1.5)
    array = exchange(peer, camera, infos, scene, info(), solid)
    assert_places(array, BOXES, P, depth_factor=1.5)


def test_a_resized_image_where_it_is_allowed(
    peer, node, camera, infos, picture, image_message, solid, set_parameter
):
    boxes = [tuple(value / 2 for value in box) for box in ((300, 100, 520, 200),)]
    half = image_message(picture((188, 621), ((150, 50, 260, 100), CAR)))
    said = "set rescale_calibration if it is the whole image resized"
    send_until_said(peer, node, camera, infos, half, info(), said)
    set_parameter("rescale_calibration", True)
    array = exchange(peer, camera, infos, half, info(), solid)
    scale = np.array([[0.5, 0, -0.25], [0, 188 / 375, (188 / 375 - 1) / 2], [0, 0, 1]])
    p = (scale @ np.array(P).reshape(3, 4)).flatten()
    assert_places(array, boxes, p)


@pytest.mark.parametrize("kind", HEADERS)
def test_every_output_carries_the_images_header(peer, scene, kind):
    assert_every_output_echoes(peer, "detection3d", scene, kind)


def test_a_calibration_that_comes_once_and_late(peer, start_node, scene):
    """A driver that latches its camera_info, under another stamp than any image.

    Its raw images go through rectification, which a lens without distortion leaves as they are.
    """
    arguments = ["-r", "__ns:=/late", "-p", "undistort:=true"]

    def publish():
        peer.next_header(scene)
        scene.header.frame_id = "late_optical"
        camera.publish(scene)

    with (
        start_node(*arguments, variables={"STAND_IN_TASK": "detection3d"}) as child,
        peer.publishing(Image, "/late/image", reliable=False) as camera,
        peer.listening(Detection3DArray, "/late/centernet/detections_3d") as received,
    ):
        array = peer.spin_until(lambda: next(iter(received), None), every=0.2, do=publish)
        assert array.detections == []
        child.wait_for_output("no camera_info came on /late/camera_info", 20)
        latching = peer.node.create_publisher(CameraInfo, "/late/camera_info", LATCHED)
        once = info()
        once.header.frame_id = "late_optical"
        latching.publish(once)
        array = peer.spin_until(
            lambda: next((answer for answer in received if answer.detections), None),
            every=0.2,
            do=publish,
        )
        assert_places(array, BOXES, P)
        assert child.stop() == 0
        assert "Traceback" not in child.output
        peer.node.destroy_publisher(latching)
