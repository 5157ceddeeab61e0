"""One camera of an active node: from its topics to its topics, and what became of its images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.lifecycle import LifecycleNode

from centernet_ros.msg import Timing
from centernet_ros.ros.calibration import Calibrator
from centernet_ros.ros.camera import Camera
from centernet_ros.ros.mailbox import Mailbox
from centernet_ros.ros.outputs import Outputs
from centernet_ros.ros.pairing import Arrival
from centernet_ros.ros.parameters import NodeParameters
from centernet_ros.structures import Detections2D
from centernet_ros.tracking import Tracks, track

REMEMBERED = 50
"""Newest timings of which diagnostics tell the median."""

EARLY = 0.25
"""Share of the period that an image may come early, lest a camera of just that rate stumbles."""


class Pace:
    """Lets images pass at most so often, whatever rate they come at."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def allows(self, now: float, period: float) -> bool:
        """Whether an image that comes now, in seconds, may pass."""
        planned = self._last + period
        if now < planned - EARLY * period:
            return False
        # Counted from the planned time on: else every image that is late would lower the rate.
        self._last = planned if now < planned + period else now
        return True


@dataclass
class Counts:
    """What became of a camera's images since the node was activated.

    Attributes:
        received: came in.
        skipped: came sooner than the camera's period.
        dropped: a newer one came before the worker was free.
        idle: passed over because nobody listened, or the node was disabled.
        stale: older than allowed when the worker took them.
        rejected: could not be used.
        processed: results were sent.
        unplaced: of these, those without places in space, though the task tells them.
    """

    received: int = 0
    skipped: int = 0
    dropped: int = 0
    idle: int = 0
    stale: int = 0
    rejected: int = 0
    processed: int = 0
    unplaced: int = 0


class Stream:
    """A camera's subscriptions, publishers, calibration and counts.

    Attributes:
        name: the camera's; empty where there is only one.
        outputs: its publishers.
        calibrator: reads its camera_infos; None where the task needs none.
        counts: what became of its images.
        problem: why its last image had no place in space, or was not rectified; empty where none.
        rejection: why its last unusable image was so; empty where none was.
        timings: of its newest images, at most `REMEMBERED`.
        began: time of `time.monotonic` when it subscribed.
    """

    def __init__(
        self,
        node: LifecycleNode,
        index: int,
        mailbox: Mailbox[Arrival],
        outputs: Outputs,
        *,
        calibrated: bool,
    ) -> None:
        """Subscribe.

        Args:
            node: node with `parameters`.
            index: of the camera among the node's.
            mailbox: takes the images for the worker.
            outputs: the camera's publishers.
            calibrated: whether the images are wanted with their camera_info.
        """
        parameters: NodeParameters = node.parameters
        self.name = parameters.camera_names[index]
        self.outputs = outputs
        self.counts = Counts()
        self.problem = self.rejection = ""
        self.timings: tuple[Timing, ...] = ()
        self.began = time.monotonic()
        self._tracks = Tracks.none()
        self._node = node
        self._index = index
        self._mailbox = mailbox
        self._pace = Pace()
        self._camera = Camera(
            node,
            prefix_of(self.name),
            transport=parameters.image_transport,
            reliability=parameters.reliability,
            calibrated=calibrated,
            on_image=self._offer,
            no_image_warning=lambda: node.parameters.no_image_warning,
        )
        self.topic = self._camera.images.topic
        self.calibrator = (
            Calibrator(self._camera.infos.topic, undistort=parameters.undistort)
            if self._camera.infos is not None
            else None
        )

    def destroy(self) -> None:
        """Unsubscribe."""
        self._camera.destroy()

    def add_timing(self, timing: Timing) -> None:
        """Remember where the time of an image went, and send it."""
        # A new tuple: other threads may be reading the old one.
        self.timings = (*self.timings[1 - REMEMBERED :], timing)
        self.outputs.publish_timing(timing)

    def identify(
        self, results: Detections2D, stamp: int, parameters: NodeParameters
    ) -> Sequence[str]:
        """What tells each result's object from all others; nothing where nothing tracks.

        Args:
            results: of the next image, in the camera's own frame and pixels.
            stamp: of the image in nanoseconds.
            parameters: of the moment.
        """
        if parameters.tracker == "none":
            return ()
        self._tracks, numbers = track(
            self._tracks, results, stamp / 1e9, memory=parameters.track_memory
        )
        return [str(number) for number in numbers]

    def _offer(self, arrival: Arrival) -> None:
        """Hand an image on, in the executor's thread."""
        self.counts.received += 1
        if not self._pace.allows(time.monotonic(), self._node.parameters.period_of(self._index)):
            self.counts.skipped += 1
        elif self._mailbox.put(self.name, arrival):
            self.counts.dropped += 1


def prefix_of(name: str) -> str:
    """What a camera's name puts before the names of its topics."""
    return f"{name}/" if name else ""
