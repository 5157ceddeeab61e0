"""JPEG and PNG images over DDS with `image_transport:=compressed`."""

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import Detection2DArray

BOX = (300, 100, 521, 253)


@pytest.fixture(scope="module")
def node(start_node):
    with start_node("-p", "image_transport:=compressed") as child:
        child.wait_for_output("detection2d with resnet18", 60)
        yield child


@pytest.fixture(scope="module")
def camera(peer, node):
    with peer.publishing(CompressedImage, "image/compressed") as publisher:
        yield publisher


@pytest.fixture(scope="module")
def detections(peer):
    with peer.listening(Detection2DArray, "centernet/detections_2d") as received:
        yield received


def compressed(image, extension):
    data = cv2.imencode(extension, image)[1]
    message = CompressedImage(format=f"bgr8; {extension[1:]} compressed bgr8")
    message.data.frombytes(data)
    return message


@pytest.mark.parametrize(("extension", "tolerance"), [(".png", 0.01), (".jpg", 1.01)])
def test_jpeg_and_png(peer, camera, detections, picture, extension, tolerance):
    message = compressed(picture((375, 1242), (BOX, (0, 255, 0))), extension)
    answer = peer.exchange(camera, message, detections)
    (detection,) = answer.detections
    assert detection.results[0].hypothesis.class_id == "car"
    x, y = detection.bbox.center.position.x, detection.bbox.center.position.y
    w, h = detection.bbox.size_x / 2, detection.bbox.size_y / 2
    np.testing.assert_allclose((x - w, y - h, x + w, y + h), BOX, atol=tolerance)


def damaged_files(image):
    whole = compressed(image, ".jpg").data.tobytes()
    yield "its JPEG is truncated", whole[: len(whole) // 2]
    yield "cannot be decoded", b"\xff\xd8\xff\xda no image \xff\xd9"
    yield "is empty: 0 bytes", b""


def test_corrupt_files_give_a_warning_and_no_array(peer, node, camera, detections, picture):
    image = picture((375, 1242), (BOX, (0, 255, 0)))
    for reason, data in damaged_files(image):
        bad = CompressedImage(format="jpeg", data=data)
        header = peer.next_header(bad)
        start = len(node.output)
        peer.spin_until(
            lambda start=start, reason=reason: reason in node.output[start:],
            every=0.1,
            do=lambda bad=bad: camera.publish(bad),
        )
        node.wait_for_output(r"image on /image/compressed is unusable: ", 1, start=start)
        peer.exchange(camera, compressed(image, ".png"), detections)
        assert not [answer for answer in detections if answer.header == header]
    assert "Traceback" not in node.output
