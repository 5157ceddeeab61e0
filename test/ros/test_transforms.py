"""Boxes in another frame by TF; tf2_ros comes with ROS distributions only."""

import importlib.util

import pytest
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from centernet_ros.ros.transforms import TransformError, Transforms

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
    assert transforms.to_target(header(101)).transform.translation.x == pytest.approx(101)
    for second in (99, 103):
        with pytest.raises(TransformError, match="no transform from 'camera_optical' to target"):
            transforms.to_target(header(second))


@needs_tf
def test_unknown_frames_and_missing_stamps_are_told(transforms):
    with pytest.raises(TransformError, match="no transform from 'camera_optical'"):
        transforms.to_target(header(100))
    with pytest.raises(TransformError, match="the image has no stamp"):
        transforms.to_target(header(0))
