"""The thread that turns images into results, always the newest one."""

from __future__ import annotations

import threading
import time
import traceback
from itertools import pairwise

import torch
from rclpy.lifecycle import LifecycleNode

from centernet_ros.detector import Detector
from centernet_ros.encodings import ImageError
from centernet_ros.image import check, view_of
from centernet_ros.msg import Timing
from centernet_ros.ros.camera import Arrival
from centernet_ros.ros.images import to_bgr
from centernet_ros.ros.mailbox import Mailbox
from centernet_ros.ros.outputs import Outputs

STOP_TIMEOUT = 20.0
"""Seconds that the image in work may still take when the worker is stopped."""


class Worker:
    """Takes images from the executor's thread and publishes their results from its own.

    Attributes:
        mailbox: takes the images; counts those received and those dropped for a newer one.
        processed: images whose results were sent.
        idle: images passed over because nobody listened to the results.
        rejected: images that could not be used.
    """

    def __init__(self, node: LifecycleNode, detector: Detector, outputs: Outputs) -> None:
        self.mailbox: Mailbox[Arrival] = Mailbox()
        self.processed = 0
        self.idle = 0
        self.rejected = 0
        self._node = node
        self._detector = detector
        self._outputs = outputs
        self._warnings = Throttle()
        self._thread = threading.Thread(target=self._run, name="centernet_worker", daemon=True)

    def start(self, topic: str) -> None:
        """Begin to work on images of this topic."""
        self._topic = topic
        self._thread.start()

    def stop(self) -> None:
        """Finish the image in work and end the thread."""
        self.mailbox.close()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while (arrival := self.mailbox.take()) is not None:
            try:
                self._process(arrival)
            except ImageError as error:
                self._reject(f"image on {self._topic} is unusable: {error}")
            except Exception as error:
                if not self._node.context.ok():
                    return  # ROS was shut down while the image was in work
                # The node lives on: the next image may be one that works.
                self._reject(
                    f"image on {self._topic} failed: {error}", traceback.format_exc().rstrip()
                )

    def _reject(self, text: str, details: str = "") -> None:
        self.rejected += 1
        if self._warnings.allows(text):
            logger = self._node.get_logger()
            logger.warning(f"{text} ({self.rejected} such images so far)")
            if details:
                logger.error(details)

    def _process(self, arrival: Arrival) -> None:
        """Decode, prepare, infer, read off, publish."""
        if not self._outputs.wanted:
            self.idle += 1
            return
        header = arrival.message.header
        times = [arrival.monotonic_time, time.monotonic()]
        detector = self._detector
        image = to_bgr(arrival.message)
        view = view_of(check(image), detector.preset)
        batch = detector.prepare([image], [view])
        times.append(time.monotonic())
        maps = detector.infer(batch)
        if detector.device.type == "cuda":
            torch.cuda.synchronize(detector.device)  # or the time would count as decoding
        times.append(time.monotonic())
        (results,) = detector.decode(maps, [view])
        times.append(time.monotonic())
        self._outputs.publish_results(results, image, header)
        times.append(time.monotonic())
        self.processed += 1
        self._outputs.publish_timing(self._timing(arrival, times))

    def _timing(self, arrival: Arrival, times: list[float]) -> Timing:
        queued, preprocess, network, decode, publish = (
            end - start for start, end in pairwise(times)
        )
        now = self._node.get_clock().now().nanoseconds
        return Timing(
            header=arrival.message.header,
            received=(arrival.clock_time - arrival.stamp) / 1e9,
            queued=queued,
            preprocess=preprocess,
            network=network,
            decode=decode,
            publish=publish,
            total=(now - arrival.stamp) / 1e9,
            frames_received=self.mailbox.received,
            frames_processed=self.processed,
            frames_dropped=self.mailbox.dropped,
        )


class Throttle:
    """Keeps a log readable when every image brings a warning."""

    PERIOD = 1.0
    """Seconds between any two warnings."""
    REPEAT_PERIOD = 10.0
    """Seconds between two warnings of the same text."""

    def __init__(self) -> None:
        self._last_text = ""
        self._last_time = float("-inf")

    def allows(self, text: str) -> bool:
        """Whether a text may be logged now; if so, it counts as logged."""
        now = time.monotonic()
        period = self.REPEAT_PERIOD if text == self._last_text else self.PERIOD
        if now < self._last_time + period:
            return False
        self._last_text, self._last_time = text, now
        return True
