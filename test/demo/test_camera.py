"""The camera process where it waits for those who record."""

import threading
from contextlib import suppress

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

import demo.camera
from centernet_ros.kitti_bag import RECORDED_TOPIC
from centernet_ros.ros.isolation import isolated_domain
from centernet_ros.stamps import to_nanoseconds
from demo.bag import BagSource
from demo.camera import IMAGE_TOPIC, INFO_TOPIC, QOS, Camera, main

SHOWINGS = 3
"""Of an image until the listener acknowledges it."""


class Listener:
    """Hears images and calibrations, and acknowledges an image when it has come thrice."""

    def __init__(self, context):
        self.heard = []
        self.node = rclpy.create_node("listener", context=context)
        self.recorded = self.node.create_publisher(Header, RECORDED_TOPIC, QOS)
        self.node.create_subscription(CameraInfo, INFO_TOPIC, self.on_info, QOS)
        self.node.create_subscription(Image, IMAGE_TOPIC, self.on_image, QOS)

    def on_info(self, info):
        self.heard.append(("info", to_nanoseconds(info.header.stamp)))

    def on_image(self, image):
        entry = "image", to_nanoseconds(image.header.stamp)
        self.heard.append(entry)
        if self.heard.count(entry) >= SHOWINGS:
            self.recorded.publish(image.header)

    def spin(self, executor):
        executor.add_node(self.node)
        with suppress(ExternalShutdownException):
            executor.spin()


@pytest.fixture
def listener(monkeypatch):
    """In another context of the same domain; the default one is the camera's."""
    with isolated_domain() as environment:
        for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
            monkeypatch.setenv(name, environment[name])
        context = rclpy.Context()
        rclpy.init(context=context)
        rclpy.init()
        listener = Listener(context)
        executor = SingleThreadedExecutor(context=context)
        thread = threading.Thread(target=listener.spin, args=(executor,))
        thread.start()
        yield listener
        rclpy.shutdown()
        context.shutdown()
        thread.join(30)


def test_an_image_is_shown_with_its_camera_until_it_is_recorded(listener, write_bag, monkeypatch):
    monkeypatch.setattr(demo.camera, "PATIENCE", 0.5)
    topics = {"/cam/camera_info": ("CameraInfo", 3), "/cam/image_raw": ("Image", 3)}
    Camera(BagSource(write_bag(topics)), None).play_lossless()
    stamps = [1317013200_000000000 + i * 100_000_000 for i in range(3)]
    images = [stamp for kind, stamp in listener.heard if kind == "image"]
    assert sorted(set(images)) == stamps
    assert images == sorted(images), "no image before the one before it is recorded"
    assert all(images.count(stamp) >= SHOWINGS for stamp in stamps)
    assert all(listener.heard.count(("info", stamp)) >= SHOWINGS for stamp in stamps[1:])


def test_only_a_bag_can_be_played_without_losses(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--lossless"])
    assert ended.value.code == 2
    assert "--lossless plays a bag: it needs --bag" in capsys.readouterr().err
