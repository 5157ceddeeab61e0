"""What a camera sends: images and their calibration; and a warning when nothing comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from centernet_ros.ros.pairing import LOOK_PERIOD as PAIRING_PERIOD
from centernet_ros.ros.pairing import Arrival, Pairing
from centernet_ros.ros.subscription import FittingSubscription
from centernet_ros.stamps import to_nanoseconds

TOPICS: dict[str, tuple[str, Any]] = {
    "raw": ("image", Image),
    "compressed": ("image/compressed", CompressedImage),
}
"""Topic and message type of each image transport."""

LOOK_PERIOD = 0.25
"""Seconds between two looks at the publishers and at the silence."""

WARNING_PERIOD = 30.0
"""Seconds until a warning for the same reason is repeated."""


class Camera:
    """Subscribes to one camera while the node is active.

    Attributes:
        images: subscription of the images.
        infos: subscription of the calibration; None where none is needed.
    """

    def __init__(
        self,
        node: Node,
        prefix: str,
        *,
        transport: str,
        reliability: str,
        calibrated: bool,
        on_image: Callable[[Arrival], None],
        no_image_warning: Callable[[], float],
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes.
            prefix: put before the names of the topics, `front/` or nothing.
            transport: key of `TOPICS`.
            reliability: `auto`, `reliable` or `best_effort`.
            calibrated: whether the images are wanted with their camera_info.
            on_image: takes every image in the executor's thread; must return at once.
            no_image_warning: seconds of silence until a warning; 0 for never.
        """
        self._node = node
        self._no_image_warning = no_image_warning
        self._take = on_image
        self._pairing = Pairing(on_image) if calibrated else None
        name, message_type = TOPICS[transport]
        self.images = FittingSubscription(
            node,
            message_type,
            prefix + name,
            self._receive,
            reliability=reliability,
            hint=f" (image_transport is {transport})",
        )
        self.infos = (
            FittingSubscription(
                node, CameraInfo, f"{prefix}camera_info", self._receive_info, latched=True
            )
            if calibrated
            else None
        )
        self._silent_since = self._began = time.monotonic()
        self._warned: dict[str, tuple[float, str]] = {}
        # A steady clock: a paused simulation must not stop the watch.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(LOOK_PERIOD, self._look, clock=steady)
        # Runs while an image waits for its camera_info.
        self._patience = node.create_timer(PAIRING_PERIOD, self._flush, clock=steady)
        self._patience.cancel()

    def destroy(self) -> None:
        """Unsubscribe."""
        for timer in (self._timer, self._patience):
            self._node.destroy_timer(timer)
        for subscription in self._subscriptions():
            subscription.destroy()

    def _subscriptions(self) -> list[FittingSubscription]:
        return [self.images, *([self.infos] if self.infos else [])]

    def _receive(self, message: Any) -> None:
        clock_time = self._node.get_clock().now().nanoseconds
        self._silent_since = time.monotonic()
        self._warned.pop(self.images.topic, None)
        stamp = to_nanoseconds(message.header.stamp)
        arrival = Arrival(message, stamp, clock_time, self._silent_since)
        if self._pairing is None:
            self._take(arrival)
        else:
            self._pairing.add_image(arrival)
            if self._pairing.waiting:
                self._patience.reset()

    def _receive_info(self, message: CameraInfo) -> None:
        assert self._pairing is not None
        self._pairing.add_info(to_nanoseconds(message.header.stamp), message)
        if not self._pairing.waiting:
            self._patience.cancel()

    def _flush(self) -> None:
        assert self._pairing is not None
        self._pairing.flush()
        if not self._pairing.waiting:
            self._patience.cancel()

    def _look(self) -> None:
        """Fit the subscriptions to the publishers of the moment, and watch for silence."""
        for subscription in self._subscriptions():
            subscription.fit()
        now = time.monotonic()
        self._watch(self.images, "image", now, self._silent_since)
        # A calibration that came once is enough.
        if self.infos is not None and not self.infos.received:
            self._watch(self.infos, "camera_info", now, self._began)

    def _watch(
        self, subscription: FittingSubscription, what: str, now: float, since: float
    ) -> None:
        """Say so when nothing has come for long."""
        limit = self._no_image_warning()
        if limit == 0 or now < since + limit:
            return
        reason = subscription.why_silent()
        warned_at, warned_of = self._warned.get(subscription.topic, (float("-inf"), ""))
        if reason != warned_of or now >= warned_at + WARNING_PERIOD:
            self._warned[subscription.topic] = now, reason
            self._node.get_logger().warning(
                f"no {what} on {subscription.topic} for {now - since:.0f} s: {reason}"
            )
