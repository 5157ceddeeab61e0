"""Publishers of either reliability, and warnings that say why no image comes."""

import time

import pytest
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from centernet_ros.ros import camera as module
from centernet_ros.ros.camera import Camera
from centernet_ros.ros.pairing import MISSES, PATIENCE

WARN_EARLY = ("-p", "no_image_warning:=0.5", "-r", "__ns:=/front", "-r", "image:=cam/raw")


@pytest.fixture(scope="module")
def node(start_node):
    with start_node(*WARN_EARLY) as child:
        yield child


@pytest.fixture(scope="module", autouse=True)
def rear_node(start_node):
    """A second node of the same domain that was told a reliability."""
    force = "qos_overrides./rear/image.subscription.reliability:=reliable"
    with start_node("-p", "no_image_warning:=0.5", "-r", "__ns:=/rear", "-p", force) as child:
        yield child


def test_silence_is_explained(peer, node):
    node.wait_for_output(r"no image on /front/cam/raw for \d+ s: nobody publishes it", 60)
    with peer.publishing(CompressedImage, "/front/cam/raw"):
        node.wait_for_output(
            r"it carries sensor_msgs/msg/CompressedImage, expected sensor_msgs/msg/Image "
            r"\(image_transport is raw\)",
            20,
        )
    with peer.publishing(Image, "/front/cam/raw"):
        node.wait_for_output("its publisher sends nothing", 20)


def test_publishers_of_either_reliability_come_and_go(peer, node, picture, image_message):
    image = image_message(picture((96, 320), ((100, 30, 180, 60), (0, 255, 0))))
    with peer.listening(Detection2DArray, "/front/centernet/detections_2d") as detections:
        for reliable in (False, True, False):
            with peer.publishing(Image, "/front/cam/raw", reliable=reliable) as camera:
                peer.exchange(camera, image, detections)
        with (
            peer.publishing(Image, "/front/cam/raw", reliable=True) as camera,
            peer.publishing(Image, "/front/cam/raw", reliable=False) as other,
        ):
            peer.exchange(camera, image, detections)
            peer.exchange(other, image, detections)


def test_forced_reliability_says_why_nothing_comes(peer, rear_node):
    with peer.publishing(Image, "/rear/image", reliable=False):
        rear_node.wait_for_output(r"no image on /rear/image .* offer best effort", 60)


def test_an_image_waits_for_its_camera_info_no_longer_than_promised(
    peer, monkeypatch, picture, image_message
):
    monkeypatch.setattr(module, "LOOK_PERIOD", 1000.0)  # far too seldom for an image
    waited = []
    camera = Camera(
        peer.node,
        "waiting/",
        transport="raw",
        reliability="auto",
        calibrated=True,
        on_image=lambda arrival: waited.append(time.monotonic() - arrival.monotonic_time),
        no_image_warning=lambda: 0.0,
    )
    image = image_message(picture((48, 64)))
    try:
        with peer.publishing(Image, "waiting/image") as publisher:
            peer.spin_until(publisher.get_subscription_count)
            for i in range(MISSES):
                publisher.publish(image)
                peer.spin_until(lambda i=i: len(waited) > i)
            assert min(waited) > 0.9 * PATIENCE
            # A busy machine makes single ones late.
            assert min(waited) < 2 * PATIENCE
            assert camera._patience.is_canceled(), "nothing runs where nothing waits"
    finally:
        camera.destroy()
