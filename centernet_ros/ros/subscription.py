"""A subscription that fits its publishers, whatever quality of service they offer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions, QoSPolicyKind
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

PATIENCE = 2.0
"""Seconds after which a kept message should have come.

DDS can lose it while reader and writer are getting to know each other, and would not send it again.
"""


class FittingSubscription:
    """Keeps the newest message, reliably where every publisher offers that.

    Attributes:
        topic: full name of the topic, remapped.
        received: messages so far.
    """

    def __init__(
        self,
        node: Node,
        message_type: Any,
        name: str,
        callback: Callable[[Any], None],
        *,
        reliability: str = "auto",
        latched: bool = False,
        hint: str = "",
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes.
            message_type: type of the messages.
            name: relative name of the topic.
            callback: takes every message in the executor's thread; must return at once.
            reliability: `auto`, `reliable` or `best_effort`.
            latched: whether to ask for the last message of before, where every publisher keeps it.
            hint: what to look at when the topic carries another type.
        """
        self._node = node
        self._type = message_type
        self._name = name
        self._callback = callback
        self._forced = ReliabilityPolicy[reliability.upper()] if reliability != "auto" else None
        self._latched = latched
        self._hint = hint
        self.topic = node.resolve_topic_name(name)
        self.received = 0
        self._subscription = self._subscribe()

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def fit(self) -> None:
        """Subscribe anew where the publishers of the moment want it; to be called regularly.

        So it does where a message that they keep for late subscribers does not come.
        """
        wanted, profile = self._wanted(), self._subscription.qos_profile
        kept = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        missing = kept and not self.received and time.monotonic() > self._began + PATIENCE
        fitting = (wanted.reliability, wanted.durability)
        if missing or fitting != (profile.reliability, profile.durability):
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def why_silent(self) -> str:
        """The most likely reason why no message comes."""
        publishers = self._publishers()
        if not publishers:
            return f"nobody publishes it (remap {self._name!r} to the camera's topic)"
        types = {publisher.topic_type for publisher in publishers}
        expected = f"sensor_msgs/msg/{self._type.__name__}"
        if expected not in types:
            return f"it carries {', '.join(sorted(types))}, expected {expected}{self._hint}"
        reliable = self._subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        if reliable and not any(map(_is_reliable, publishers)):
            return (
                "its publishers offer best effort, which a reliable subscription does not accept "
                "(set reliability to auto or best_effort)"
            )
        count = len(publishers)
        return (
            "its publisher sends nothing" if count == 1 else f"its {count} publishers send nothing"
        )

    def _subscribe(self) -> Subscription:
        policies = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
        override = f"qos_overrides.{self.topic}.subscription.reliability"
        if override in self._node._parameter_overrides:
            # Only for who sets it: rclpy would keep the first choice of `auto` for ever.
            policies.append(QoSPolicyKind.RELIABILITY)
        subscription = self._node.create_subscription(
            self._type,
            self._name,
            self._receive,
            self._wanted(),
            # Its warning would come too early, while `auto` is about to mend it.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions(policies),
        )
        self._began = time.monotonic()
        if QoSPolicyKind.RELIABILITY in policies:
            self._forced = subscription.qos_profile.reliability
        return subscription

    def _receive(self, message: Any) -> None:
        self.received += 1
        self._callback(message)

    def _wanted(self) -> QoSProfile:
        """The forced reliability, else the best that every publisher offers."""
        publishers = self._publishers()
        reliability, durability = self._forced, DurabilityPolicy.VOLATILE
        if reliability is None:
            # Without a publisher reliable, as most will be: they then need no second subscription.
            every = all(map(_is_reliable, publishers))
            reliability = ReliabilityPolicy.RELIABLE if every else ReliabilityPolicy.BEST_EFFORT
        if self._latched and publishers and all(map(_is_latched, publishers)):
            durability = DurabilityPolicy.TRANSIENT_LOCAL
        return QoSProfile(depth=1, reliability=reliability, durability=durability)

    def _publishers(self) -> list[TopicEndpointInfo]:
        return list(self._node.get_publishers_info_by_topic(self._name))


def _is_reliable(publisher: TopicEndpointInfo) -> bool:
    return bool(publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE)


def _is_latched(publisher: TopicEndpointInfo) -> bool:
    return bool(publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)
