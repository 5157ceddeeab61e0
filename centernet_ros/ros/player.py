"""A camera that publishes at any rate and hears when a node's results come back."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from centernet_ros.benchmark.rates import Trial
from centernet_ros.image import Image
from centernet_ros.msg import Timing
from centernet_ros.ros.camera_info import to_camera_info
from centernet_ros.ros.images import to_message
from centernet_ros.ros.outputs import outputs_of
from centernet_ros.stamps import NANOSECONDS, to_nanoseconds
from centernet_ros.structures import CameraIntrinsics

NODE = "measured"
"""Name of the node that is measured."""

GRACE = 1.0
"""Seconds without an answer after the last image, after which none is expected any more."""

POLL = 0.005


class Player:
    """Publishes one image again and again, each time with a stamp of its own."""

    def __init__(self, image: Image, camera: CameraIntrinsics, task: str, domain: int) -> None:
        """Offer the topics in a ROS domain, and listen to the first topic of a task.

        Args:
            image: (H, W, 3) uint8, blue first.
            camera: that took it.
            task: of the node that is measured.
            domain: the ROS domain.
        """
        self._sent: dict[int, float] = {}
        self._latencies: dict[int, float] = {}
        self._timings: dict[int, Timing] = {}
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("player", context=self._context)
        self._image = to_message(image, Header(frame_id="camera"))
        self._info = to_camera_info(camera, "camera")
        qos = QoSProfile(depth=10)
        self._images = self._node.create_publisher(ImageMessage, "image", qos)
        self._infos = self._node.create_publisher(CameraInfo, "camera_info", qos)
        output = outputs_of(task)[0]
        # As bytes: making a message of a hundred results would count as the node's time.
        self._node.create_subscription(
            output.message_type, f"{NODE}/{output.topic}", self._on_results, qos, raw=True
        )
        self._node.create_subscription(Timing, f"{NODE}/timing", self._on_timing, qos)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._listen, name="player", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the topics back."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        self._context.shutdown()

    def wait_for_answer(self, check: Callable[[], None], timeout: float) -> None:
        """Publish twice a second until results come.

        Args:
            check: called now and then; may raise.
            timeout: seconds.

        Raises:
            TimeoutError: No results came.
        """
        self._forget()
        deadline = time.monotonic() + timeout
        while not self._latencies:
            check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the node gave no results within {timeout:.0f} s")
            if self._images.get_subscription_count() > 0:
                self._publish()
            time.sleep(0.5)

    def play(self, rate: float, seconds: float) -> Trial:
        """Publish so many images a second for so long, and wait for the last results."""
        time.sleep(2 * POLL)
        self._forget()
        count = max(2, round(rate * seconds))
        start = time.monotonic()
        for i in range(count):
            time.sleep(max(0.0, start + i / rate - time.monotonic()))
            self._publish()
        published = time.monotonic() - start + 1 / rate
        self._wait_for_the_last(count)
        timings = list(self._timings.values())
        return Trial(
            rate=rate,
            sent=count,
            seconds=published,
            latencies=tuple(self._latencies.values()),
            network=tuple(timing.network for timing in timings),
            beside=tuple(t.preprocess + t.decode + t.publish for t in timings),
        )

    def _publish(self) -> None:
        nanoseconds = time.time_ns()
        for message in (self._info, self._image):
            stamp = message.header.stamp
            stamp.sec, stamp.nanosec = divmod(nanoseconds, NANOSECONDS)
        self._sent[nanoseconds] = time.monotonic()
        self._infos.publish(self._info)
        self._images.publish(self._image)

    def _wait_for_the_last(self, count: int) -> None:
        """Return when all are answered and timed, or when nothing comes any more."""
        last, heard = time.monotonic(), -1
        while heard < 2 * count and time.monotonic() < last + GRACE:
            now_heard = len(self._latencies) + len(self._timings)
            if now_heard != heard:
                last, heard = time.monotonic(), now_heard
            time.sleep(POLL)

    def _forget(self) -> None:
        self._sent, self._latencies, self._timings = {}, {}, {}

    def _on_results(self, data: bytes) -> None:
        now = time.monotonic()
        # Of a message in CDR: four bytes about itself, then the header's stamp.
        seconds, nanoseconds = struct.unpack_from("<iI", data, 4)
        stamp = seconds * NANOSECONDS + nanoseconds
        if stamp in self._sent:
            self._latencies[stamp] = now - self._sent[stamp]

    def _on_timing(self, timing: Timing) -> None:
        stamp = to_nanoseconds(timing.header.stamp)
        if stamp in self._sent:
            self._timings[stamp] = timing

    def _listen(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
