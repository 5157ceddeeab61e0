"""Boxes in another frame by TF; tf2_ros comes with ROS distributions only."""

import importlib.util
import re
import sys
import time
from types import SimpleNamespace

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from centernet_ros.ros.transforms import RETRY, TransformError, Transforms

TIMEOUT = 0.05
HAS_TF = importlib.util.find_spec("tf2_ros") is not None
needs_tf = pytest.mark.skipif(not HAS_TF, reason="tf2_ros is not on PyPI")


@pytest.mark.skipif(HAS_TF, reason="tf2_ros is installed")
def test_without_tf2_ros_a_target_frame_is_refused(peer):
    with pytest.raises(ValueError, match=r"target_frame is 'base_link', but tf2_ros is not inst"):
        Transforms(peer.node, "base_link")


@pytest.fixture
def transforms(peer):
    transforms = Transforms(peer.node, "base_link")
    yield transforms
    transforms.destroy()


def header(second):
    header = Header(frame_id="camera_optical")
    header.stamp.sec = second
    return header


@needs_tf
def test_a_transform_counts_at_the_images_stamp_only(peer, transforms):
    for second in (100, 102):
        transform = TransformStamped(child_frame_id="camera_optical", header=header(second))
        transform.header.frame_id = "base_link"
        transform.transform.translation.x = float(second)
        transforms._buffer.set_transform(transform, "test")
    assert transforms.to_target(header(101), TIMEOUT).transform.translation.x == pytest.approx(101)
    for second in (99, 103):
        with pytest.raises(TransformError, match="no transform from 'camera_optical' to target"):
            transforms.to_target(header(second), TIMEOUT)


@needs_tf
def test_unknown_frames_and_missing_stamps_are_told(transforms):
    with pytest.raises(TransformError, match="no transform from 'camera_optical'"):
        transforms.to_target(header(100), TIMEOUT)
    with pytest.raises(TransformError, match="the image has no stamp"):
        transforms.to_target(header(0), TIMEOUT)


@needs_tf
def test_a_frame_that_stays_unknown_is_not_waited_for(transforms):
    """Each wait of the one worker costs the images of all other cameras."""
    start = time.monotonic()
    for second in range(100, 200):
        with pytest.raises(TransformError):
            transforms.to_target(header(second), TIMEOUT)
    assert time.monotonic() - start < 50 * TIMEOUT


class LateTf:
    """A stand-in for tf2_ros whose transforms come some time after they are asked for."""

    TransformException = LookupError

    def __init__(self):
        self.lag = 0.0
        self.waits = []
        self.TransformListener = lambda buffer, node: SimpleNamespace(unregister=lambda: None)

    def Buffer(self):  # noqa: N802
        return self

    def lookup_transform(self, target, source, moment, timeout):
        self.waits.append(timeout.nanoseconds / 1e9)
        if self.waits[-1] < self.lag:
            raise self.TransformException("extrapolation into the future")
        return (target, source)


@pytest.fixture
def late_tf(monkeypatch):
    tf = LateTf()
    monkeypatch.setitem(sys.modules, "tf2_ros", tf)
    return tf


def test_a_transform_that_is_always_a_little_late_is_found_again(peer, late_tf):
    """After a pause of TF, no wait would mean no transform for ever."""
    transforms = Transforms(peer.node, "base_link")
    try:
        late_tf.lag = 10.0
        for second in range(100, 105):
            with pytest.raises(TransformError):
                transforms.to_target(header(second), TIMEOUT)
        assert late_tf.waits[-1] == 0
        late_tf.lag = TIMEOUT / 2
        failed = 0
        for second in range(200, 200 + 3 * RETRY):
            try:
                transforms.to_target(header(second), TIMEOUT)
            except TransformError:
                failed += 1
        assert 0 < failed < RETRY
        assert late_tf.waits[-RETRY:] == [TIMEOUT] * RETRY, "whoever is late is waited for"
    finally:
        transforms.destroy()


def test_waiting_in_vain_is_rare(peer, late_tf):
    transforms = Transforms(peer.node, "base_link")
    late_tf.lag = 10.0
    try:
        for second in range(100, 200):
            with pytest.raises(TransformError):
                transforms.to_target(header(second), TIMEOUT)
    finally:
        transforms.destroy()
    assert sum(wait > 0 for wait in late_tf.waits) < 15


@needs_tf
def test_a_bag_that_begins_anew_finds_its_transforms(peer):
    """TF refuses what is older than all it knows."""
    clock = peer.node.create_publisher(Clock, "/clock", 10)
    use_sim_time = Parameter("use_sim_time", value=True)
    peer.node.set_parameters([use_sim_time])
    transforms = Transforms(peer.node, "base_link")
    try:
        for second in (500, 100):
            now = Clock(clock=header(second).stamp)
            peer.spin_until(
                lambda now=now: peer.node.get_clock().now().to_msg() == now.clock,
                every=0.1,
                do=lambda now=now: clock.publish(now),
            )
            transform = TransformStamped(child_frame_id="camera_optical", header=header(second))
            transform.header.frame_id = "base_link"
            transforms._buffer.set_transform(transform, "test")
            transforms.to_target(header(second), TIMEOUT)
    finally:
        transforms.destroy()
        peer.node.set_parameters([Parameter("use_sim_time", value=False)])
        peer.node.destroy_publisher(clock)


@needs_tf
def test_boxes_come_in_the_target_frame_or_not_at_all(peer, start_node, picture, image_message):
    """A camera 1.5 m before and 1.2 m above the vehicle's origin that looks ahead."""
    from tf2_msgs.msg import TFMessage

    size, focal = (375, 1242), 700.0
    scene = image_message(picture(size, ((721, 100, 821, 200), (0, 255, 0))))
    info = CameraInfo(height=size[0], width=size[1])
    info.k = [focal, 0.0, 621.0, 0.0, focal, 150.0, 0.0, 0.0, 1.0]
    mount = TransformStamped(child_frame_id="camera_optical")
    mount.header.frame_id = "base_link"
    shift, turn = mount.transform.translation, mount.transform.rotation
    shift.x, shift.z = 1.5, 1.2
    turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    statics = peer.node.create_publisher(TFMessage, "/tf_static", latched)
    variables = {"STAND_IN_TASK": "detection3d"}
    with (
        start_node("-p", "target_frame:=base_link", variables=variables) as node,
        peer.publishing(Image, "image") as camera,
        peer.publishing(CameraInfo, "camera_info") as infos,
        peer.listening(Detection3DArray, "centernet/detections_3d") as solid,
        peer.listening(Detection2DArray, "centernet/detections_2d") as flat,
    ):

        def publish():
            header = peer.next_header(scene)
            header.frame_id = "camera_optical"
            info.header = header
            infos.publish(info)
            camera.publish(scene)

        node.wait_for_output("detection3d with resnet18", 60)
        said = r"no 3D boxes for /image: TF has no transform from 'camera_optical' to target_frame"
        peer.spin_until(lambda: re.search(said, node.output), every=0.2, do=publish)
        assert peer.spin_until(lambda: [array for array in flat if array.detections])
        assert solid
        assert not any(array.detections for array in solid)
        assert {array.header.frame_id for array in solid} == {"camera_optical"}
        statics.publish(TFMessage(transforms=[mount]))
        (array, *_) = peer.spin_until(
            lambda: [array for array in solid if array.detections], every=0.2, do=publish
        )
        assert array.header.frame_id == "base_link"
        (detection,) = array.detections
        assert detection.header == array.header
        # 15 m before the camera, 150 pixels to the right of its axis: see the stand-in.
        place = detection.bbox.center.position
        expected = (15.0 + 1.5, -150 * 15 / focal, 1.2)
        assert (place.x, place.y, place.z) == pytest.approx(expected, abs=1e-3)
        assert flat[-1].header.frame_id == "camera_optical"
        assert node.stop() == 0
    peer.node.destroy_publisher(statics)
