"""A subscription stays the same while it works, and is renewed where it does not."""

import time
from itertools import pairwise

from rclpy.qos import DurabilityPolicy, QoSProfile
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
