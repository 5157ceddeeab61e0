"""The camera process where it waits for those who record."""

import threading
from contextlib import suppress

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Empty, Header

import demo.camera
from centernet_ros.kitti_bag import RECORDED_TOPIC
from centernet_ros.ros.isolation import isolated_domain, this_machine_only
from centernet_ros.stamps import to_nanoseconds
from demo.bag import BagSource
from demo.camera import IMAGE_TOPIC, INFO_TOPIC, QOS, Camera, main
from demo.recorder import READY_QOS, READY_TOPIC
from demo.records import Sent, Tail
from demo.sources import StreetSource

SHOWINGS = 3
"""Of an image until the listener acknowledges it."""


class Listener:
    """Hears images and calibrations, and acknowledges an image when it has come thrice."""

    def __init__(self, context):
        self.heard = []
        self.node = rclpy.create_node("listener", context=context)
        self.ready = self.node.create_publisher(Empty, READY_TOPIC, READY_QOS)
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
        if sum(kind == "image" for kind, _ in self.heard) == SHOWINGS:
            self.ready.publish(Empty())

    def spin(self, executor):
        executor.add_node(self.node)
        with suppress(ExternalShutdownException):
            executor.spin()


@pytest.fixture
def listener(monkeypatch):
    """In another context of the same domain; the default one is the camera's."""
    with isolated_domain() as environment:
        for name in ("ROS_DOMAIN_ID", *this_machine_only()):
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
        listener.node.destroy_node()  # the next test's camera would hear that it is ready


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


@pytest.mark.parametrize("first", [1317013200_000000000, 0, 999_999_999])
def test_the_lead_in_has_stamps_that_no_image_of_the_recording_has(
    listener, write_bag, monkeypatch, first
):
    monkeypatch.setattr(demo.camera, "LEAD_IN", 0.1)
    topics = {"/cam/camera_info": ("CameraInfo", 4), "/cam/image_raw": ("Image", 4)}
    recorded = [first + i * 500_000_000 for i in range(4)]
    Camera(BagSource(write_bag(topics, rate=2.0, first=first)), None).lead_in()
    images = [stamp for kind, stamp in listener.heard if kind == "image"]
    assert len(set(images)) == len(images) >= SHOWINGS
    assert not set(images) & set(recorded)
    assert all(("info", stamp) in listener.heard for stamp in images)


def test_a_street_is_generated_once_and_told(listener, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo.camera, "LEAD_IN", 0.1)
    generated = []
    source = StreetSource(3, 10.0)
    frames = source._generate
    monkeypatch.setattr(source, "_generate", lambda: generated.append(1) or frames())
    with (tmp_path / "diary").open("w") as diary:
        camera = Camera(source, diary)
        assert capsys.readouterr().out.startswith("generated 0 of 3 images\n")
        camera.lead_in()
        camera.play()
    sent = [record for record in Tail(tmp_path / "diary").new() if isinstance(record, Sent)]
    assert [record.index for record in sent if record.counted] == [0, 1, 2]
    assert len(generated) == 1


def test_only_a_bag_can_be_played_without_losses(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--lossless"])
    assert ended.value.code == 2
    assert "--lossless plays a bag: it needs --bag" in capsys.readouterr().err
