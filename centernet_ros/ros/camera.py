"""The image subscription: it fits its publishers, and says so when no image comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions, QoSPolicyKind
from rclpy.subscription import Subscription
from rclpy.time import Time
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

TOPICS: dict[str, tuple[str, Any]] = {
    "raw": ("image", Image),
    "compressed": ("image/compressed", CompressedImage),
}
"""Topic and message type of each image transport."""

LOOK_PERIOD = 0.25
"""Seconds between two looks at the publishers and at the silence."""

WARNING_PERIOD = 30.0
"""Seconds until a warning for the same reason is repeated."""


@dataclass(frozen=True)
class Arrival:
    """An image message and when it came.

    Attributes:
        message: sensor_msgs Image or CompressedImage.
        stamp: its time stamp in nanoseconds.
        clock_time: time of the node's clock at its receipt, in nanoseconds.
        monotonic_time: the same moment of `time.monotonic`, in seconds.
    """

    message: Any
    stamp: int
    clock_time: int
    monotonic_time: float


class Camera:
    """Subscribes to the images while the node is active.

    Attributes:
        topic: full name of the topic, remapped.
    """

    def __init__(
        self,
        node: Node,
        *,
        transport: str,
        reliability: str,
        on_image: Callable[[Arrival], None],
        no_image_warning: Callable[[], float],
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes.
            transport: key of `TOPICS`.
            reliability: `auto`, `reliable` or `best_effort`.
            on_image: takes every image in the executor's thread; must return at once.
            no_image_warning: seconds of silence until a warning; 0 for never.
        """
        self._node = node
        self._name, self._type = TOPICS[transport]
        self.topic = node.resolve_topic_name(self._name)
        self._transport = transport
        self._on_image = on_image
        self._no_image_warning = no_image_warning
        self._reliability = (
            ReliabilityPolicy[reliability.upper()] if reliability != "auto" else None
        )
        self._silent_since = time.monotonic()
        self._warned_at = float("-inf")
        self._warned_of = ""
        self._subscription = self._subscribe()
        # A steady clock: a paused simulation must not stop the watch.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(LOOK_PERIOD, self._look, clock=steady)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

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
            QoSProfile(depth=1, reliability=self._wanted_reliability()),
            # Its warning would come too early, while `auto` is about to mend it.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions(policies),
        )
        if QoSPolicyKind.RELIABILITY in policies:
            self._reliability = subscription.qos_profile.reliability
        return subscription

    def _wanted_reliability(self) -> ReliabilityPolicy:
        """The forced reliability, else the best that every publisher offers."""
        if self._reliability is not None:
            return self._reliability
        publishers = self._publishers()
        # Without a publisher reliable, as most will be: they then need no second subscription.
        if all(map(_is_reliable, publishers)):
            return ReliabilityPolicy.RELIABLE
        return ReliabilityPolicy.BEST_EFFORT

    def _publishers(self) -> list[TopicEndpointInfo]:
        return list(self._node.get_publishers_info_by_topic(self.topic))

    def _receive(self, message: Any) -> None:
        clock_time = self._node.get_clock().now().nanoseconds
        self._silent_since = time.monotonic()
        self._warned_of = ""
        stamp = Time.from_msg(message.header.stamp).nanoseconds
        self._on_image(Arrival(message, stamp, clock_time, self._silent_since))

    def _look(self) -> None:
        """Fit the subscription to the publishers of the moment, and watch for silence."""
        if self._wanted_reliability() != self._subscription.qos_profile.reliability:
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()
        self._watch(time.monotonic())

    def _watch(self, now: float) -> None:
        """Say so when no image has come for long."""
        limit = self._no_image_warning()
        silence = now - self._silent_since
        if silence < limit or limit == 0:
            return
        reason = self._why_silent()
        if reason != self._warned_of or now >= self._warned_at + WARNING_PERIOD:
            self._warned_at, self._warned_of = now, reason
            self._node.get_logger().warning(
                f"no image on {self.topic} for {silence:.0f} s: {reason}"
            )

    def _why_silent(self) -> str:
        """The most likely reason why no image comes."""
        publishers = self._publishers()
        if not publishers:
            return f"nobody publishes it (remap {self._name!r} to the camera's topic)"
        types = {publisher.topic_type for publisher in publishers}
        expected = f"sensor_msgs/msg/{self._type.__name__}"
        if expected not in types:
            return (
                f"it carries {', '.join(sorted(types))}, expected {expected} "
                f"(image_transport is {self._transport})"
            )
        reliable = self._subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        if reliable and not any(map(_is_reliable, publishers)):
            return (
                "its publishers offer best effort, which a reliable subscription does not accept "
                "(set reliability to auto or best_effort)"
            )
        return f"its {len(publishers)} publishers send nothing"


def _is_reliable(publisher: TopicEndpointInfo) -> bool:
    return bool(publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE)
