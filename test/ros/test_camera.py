"""Publishers of either reliability, and warnings that say why no image comes."""

import pytest
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

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
