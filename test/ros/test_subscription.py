"""A subscription stays the same while it works, and is renewed where it does not."""

import time
from itertools import pairwise

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from centernet_ros.ros import subscription as module
from centernet_ros.ros.subscription import FittingSubscription

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_a_kept_message_that_does_not_come_is_asked_for_again(peer, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    begun, received = [], []
    create = peer.node.create_subscription

    def counted(*arguments, **options):
        begun.append(time.monotonic())
        return create(*arguments, **options)

    monkeypatch.setattr(peer.node, "create_subscription", counted)
    publisher = peer.node.create_publisher(CameraInfo, "kept", LATCHED)
    fitting = FittingSubscription(peer.node, CameraInfo, "kept", received.append, latched=True)
    try:
        peer.spin_until(lambda: len(begun) > 3, every=0.05, do=fitting.fit)
        assert min(b - a for a, b in pairwise(begun[1:])) > 0.2

        publisher.publish(CameraInfo(width=3))
        peer.spin_until(lambda: received, every=0.05, do=fitting.fit)
        assert received[0].width == 3

        settled = len(begun)
        end = time.monotonic() + 0.6
        peer.spin_until(lambda: time.monotonic() > end, every=0.05, do=fitting.fit)
        assert len(begun) == settled
    finally:
        fitting.destroy()
        peer.node.destroy_publisher(publisher)


def test_remaps_in_a_chain_are_followed_once(peer):
    """As where the node's cameras are counted from 0 and the driver's from 1."""
    remaps = ["-r", "cam0/image:=/cam1/image", "-r", "cam1/image:=/cam2/image"]
    node = rclpy.create_node("chained", context=peer.context, cli_args=["--ros-args", *remaps])
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = peer.node.create_publisher(CameraInfo, "/cam1/image", best_effort)
    fitting = FittingSubscription(node, CameraInfo, "cam0/image", lambda _: None)
    try:
        assert fitting.topic == "/cam1/image"
        peer.spin_until(lambda: "sends nothing" in fitting.why_silent(), every=0.05, do=fitting.fit)
    finally:
        fitting.destroy()
        peer.node.destroy_publisher(publisher)
        node.destroy_node()
