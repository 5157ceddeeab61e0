"""What a subscriber gets for an image: the node as a process, everything over DDS."""

import cv2
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray, LabelInfo

from centernet_ros.msg import Timing
from centernet_ros.ros.images import to_bgr

# Colours of the stand-in's classes.
PEDESTRIAN, CAR, CYCLIST = (255, 0, 0), (0, 255, 0), (0, 0, 255)
CLASSES = {PEDESTRIAN: "pedestrian", CAR: "car", CYCLIST: "cyclist"}
SIZE = 375, 1242
BOXES = {PEDESTRIAN: (40, 60, 140, 202), CAR: (300, 100, 521, 253), CYCLIST: (901, 51, 1020, 190)}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module", autouse=True)
def node(start_node):
    with start_node() as child:
        child.wait_for_output("detection2d with resnet18", 60)
        yield child


@pytest.fixture(scope="module")
def camera(peer):
    with peer.publishing(Image, "image") as publisher:
        yield publisher


@pytest.fixture(scope="module")
def detections(peer):
    with peer.listening(Detection2DArray, "centernet/detections_2d") as received:
        yield received


@pytest.fixture(scope="module")
def scene(picture):
    return picture(SIZE, *((box, colour) for colour, box in BOXES.items()))


def boxes_of(array):
    """x1, y1, x2, y2 of every detection by its class."""
    boxes = {}
    for detection in array.detections:
        centre, half = detection.bbox.center, (detection.bbox.size_x / 2, detection.bbox.size_y / 2)
        assert centre.theta == 0
        (result,) = detection.results
        x, y = centre.position.x, centre.position.y
        boxes[result.hypothesis.class_id] = (x - half[0], y - half[1], x + half[0], y + half[1])
    return boxes


def assert_boxes(array, expected, tolerance):
    found = boxes_of(array)
    assert set(found) == {CLASSES[colour] for colour in expected}
    assert len(array.detections) == len(expected)
    for colour, box in expected.items():
        np.testing.assert_allclose(found[CLASSES[colour]], box, atol=tolerance)


def test_array_and_detections_carry_the_images_header(
    peer, camera, detections, scene, image_message
):
    message = image_message(scene)
    answer = peer.exchange(camera, message, detections)
    assert answer.header == message.header
    assert len(answer.detections) == 3
    for detection in answer.detections:
        assert detection.header == message.header
        assert detection.id == ""
        assert 0.99 <= detection.results[0].hypothesis.score <= 1


def test_empty_scene_gives_an_empty_array(peer, camera, detections, picture, image_message):
    answer = peer.exchange(camera, image_message(picture(SIZE)), detections)
    assert answer.detections == []


@pytest.mark.parametrize("size", [(375, 1242), (1080, 1920), (201, 333)])
def test_boxes_are_sub_pixel_in_the_cameras_image(
    peer, camera, detections, picture, image_message, size
):
    # A cell of the network's grid is up to 22 pixels of these images.
    height, width = size
    box = (width // 3, height // 4 + 1, width // 3 + 87, height // 4 + 66)
    answer = peer.exchange(camera, image_message(picture(size, (box, CAR))), detections)
    assert_boxes(answer, {CAR: box}, tolerance=0.01)


@pytest.mark.parametrize(
    ("encoding", "convert"),
    [
        ("bgr8", lambda image: image),
        ("rgb8", lambda image: image[..., ::-1]),
        ("bgra8", lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)),
        ("rgba8", lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2RGBA)),
    ],
)
@pytest.mark.parametrize("padding", [0, 38])
def test_colour_encodings_and_padded_rows(
    peer, camera, detections, scene, image_message, encoding, convert, padding
):
    message = image_message(convert(scene), encoding, padding=padding)
    assert_boxes(peer.exchange(camera, message, detections), BOXES, tolerance=0.01)


@pytest.mark.parametrize("padding", [0, 38])
def test_mono8(peer, camera, detections, scene, image_message, padding):
    message = image_message(scene.max(axis=2), "mono8", padding=padding)
    answer = peer.exchange(camera, message, detections)
    found = sorted((d.bbox.center.position.x, d.bbox.center.position.y) for d in answer.detections)
    expected = sorted(((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in BOXES.values())
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(peer, camera, detections, scene, image_message, pattern):
    mosaic = np.empty(SIZE, np.uint8)
    for i, letter in enumerate(pattern):
        rows, columns = slice(i // 2, None, 2), slice(i % 2, None, 2)
        mosaic[rows, columns] = scene[rows, columns, "bgr".index(letter)]
    answer = peer.exchange(camera, image_message(mosaic, f"bayer_{pattern}8"), detections)
    # At an edge the colours of a mosaic are a guess of one pixel.
    assert_boxes(answer, BOXES, tolerance=1.01)


def test_late_subscriber_gets_the_labels(peer):
    with peer.listening(LabelInfo, "centernet/label_info", LATCHED) as received:
        peer.spin_until(lambda: received)
    (labels,) = received
    assert {entry.class_id: entry.class_name for entry in labels.class_map} == {
        0: "pedestrian",
        1: "car",
        2: "cyclist",
    }
    assert labels.threshold == pytest.approx(0.3)


def test_debug_image_shows_the_boxes(peer, camera, scene, image_message):
    message = image_message(scene[..., ::-1], "rgb8")
    with peer.listening(Image, "centernet/debug_image") as received:
        answer = peer.exchange(camera, message, received)
    assert answer.encoding == "bgr8"
    drawn = to_bgr(answer)
    assert drawn.shape == scene.shape
    x1, y1, _, y2 = BOXES[CAR]
    changed = (drawn != scene).any(axis=2)
    assert changed[y1:y2, x1].all(), "the left edge of the car's box"
    assert not changed[300:, :].any(), "nothing is drawn where nothing is"


def test_timing_tells_where_the_time_went(peer, camera, scene, image_message):
    with peer.listening(Timing, "centernet/timing") as received:
        message = image_message(scene)
        first = peer.exchange(camera, message, received)
        second = peer.exchange(camera, message, received)
    stages = ("queued", "preprocess", "network", "decode", "publish")
    parts = [getattr(first, name) for name in stages]
    assert all(0 <= part < 10 for part in parts)
    # The stamps of these images lie far in the past, the same for both numbers.
    assert first.received > 1e6
    assert sum(parts) <= first.total - first.received + 1e-3
    assert second.frames_processed > first.frames_processed
    assert second.frames_received >= second.frames_processed + second.frames_dropped


BAD_IMAGES = {
    "truncated": {"data": b"\0" * 1000},
    "is empty: 0x375": {"width": 0},
    "encoding 'xyz9' is unknown": {"encoding": "xyz9"},
    "step 5 is less": {"step": 5},
    "more than 32766 a side": {"height": 2**31, "step": 2**31},
}


@pytest.mark.parametrize("reason", BAD_IMAGES)
def test_bad_image_gives_one_warning_and_no_array(
    peer, node, camera, detections, scene, image_message, reason
):
    bad = image_message(scene)
    for name, value in BAD_IMAGES[reason].items():
        setattr(bad, name, value)
    header = peer.next_header(bad)
    start = len(node.output)
    pattern = rf"image on /image is unusable: .*{reason}"
    peer.spin_until(
        lambda: reason in node.output[start:], every=0.1, do=lambda: camera.publish(bad)
    )
    peer.exchange(camera, image_message(scene), detections)
    assert not [answer for answer in detections if answer.header == header]
    assert "Traceback" not in node.output
    warnings = [line for line in node.output[start:].splitlines() if line]
    assert len(warnings) == 1
    node.wait_for_output(pattern, 1, start=start)


def parameter(name, value):
    kind = {float: "double", int: "integer", str: "string", bool: "bool"}[type(value)]
    values = {f"{kind}_value": value, "type": getattr(ParameterType, f"PARAMETER_{kind.upper()}")}
    return Parameter(name=name, value=ParameterValue(**values))


@pytest.fixture
def set_parameters(peer):
    """Sets parameters one by one and gives (successful, reason) of each; puts them back."""

    def set_values(**values):
        request = SetParameters.Request(parameters=[parameter(*item) for item in values.items()])
        answer = peer.call(SetParameters, "centernet/set_parameters", request)
        return [(result.successful, result.reason) for result in answer.results]

    yield set_values
    set_values(score_threshold=0.3, max_detections=100)


def test_parameters_change_at_run_time(
    peer, camera, detections, picture, image_message, set_parameters
):
    dim = ((40, 60, 140, 202), (190, 0, 0))
    bright = ((300, 100, 521, 253), CAR)
    message = image_message(picture(SIZE, dim, bright))
    assert len(peer.exchange(camera, message, detections).detections) == 2
    assert set_parameters(score_threshold=0.9) == [(True, "")]
    assert_boxes(peer.exchange(camera, message, detections), {CAR: bright[0]}, 0.01)
    with peer.listening(LabelInfo, "centernet/label_info", LATCHED) as received:
        peer.spin_until(lambda: received)
    assert received[0].threshold == pytest.approx(0.9)
    assert set_parameters(score_threshold=0.0, max_detections=1) == [(True, "")] * 2
    assert_boxes(peer.exchange(camera, message, detections), {CAR: bright[0]}, 0.01)


def test_bad_parameter_values_are_refused_with_a_reason(peer, set_parameters):
    results = set_parameters(
        score_threshold=2.0, max_detections="many", device="cpu", autostart=False
    )
    assert [successful for successful, _ in results] == [False] * 4
    reasons = [reason for _, reason in results]
    assert "score_threshold" in reasons[0]
    assert "Wrong parameter type" in reasons[1]
    assert "device cannot be changed while the node is configured" in reasons[2]
    assert "read-only" in reasons[3]


def test_parameters_change_together_or_not_at_all(peer, camera, detections, picture, image_message):
    request = SetParametersAtomically.Request(
        parameters=[parameter("score_threshold", 0.9), parameter("threads", 1)]
    )
    answer = peer.call(SetParametersAtomically, "centernet/set_parameters_atomically", request)
    assert not answer.result.successful
    assert "threads cannot be changed" in answer.result.reason
    dim = ((40, 60, 140, 202), (190, 0, 0))
    message = image_message(picture(SIZE, dim))
    assert len(peer.exchange(camera, message, detections).detections) == 1
