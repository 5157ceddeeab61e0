"""The recorder process: hears the node's detections, shows a live line and writes them down.

It is ready, and says so on `/recorder/ready`, once the first detections have come.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Empty

from centernet_ros.msg import Timing
from centernet_ros.ros.processes import signalled
from centernet_ros.stamps import to_nanoseconds
from demo.records import (
    BOXES,
    FoundObject,
    Received,
    Sent,
    Tail,
    Timed,
    to_line,
)
from demo.tasks import TASKS, DemoTask, Topic

NODE = "centernet"
TIMING_TOPIC = f"/{NODE}/timing"

READY_TOPIC = "/recorder/ready"
READY_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
READY_AFTER = 3
"""Arrays after which the node is at its usual speed."""

QOS = QoSProfile(depth=100)
"""Reliable, and deep enough to outlast a pause of this process."""

LIKELY = 0.3
"""Score from which a detection is shown and counted in the live line; all are written down."""

STAGES = ("received", "queued", "preprocess", "network", "decode", "publish", "total")


class LiveLine:
    """One line that is rewritten in place on a terminal; elsewhere a line now and then."""

    def __init__(self, stream: TextIO, interval: float | None = None) -> None:
        """Write to a stream.

        Args:
            stream: where to.
            interval: least seconds between two lines; by default 0.2 on a terminal, else 5.
        """
        self._stream = stream
        self._in_place = stream.isatty()
        self._interval = interval or (0.2 if self._in_place else 5.0)
        self._last = float("-inf")
        self._open = False

    def show(self, text: str) -> None:
        """Show a text, if the last one has been there for long enough."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return
        self._last = now
        self._open = self._in_place
        self._stream.write(f"\r{text}\x1b[K" if self._in_place else f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = False


class Recorder(Node):
    """Writes every message of the node as a line of JSON."""

    def __init__(self, task: DemoTask, file: TextIO, sent: Path | None, live: LiveLine) -> None:
        """Listen to the node.

        Args:
            task: tells what the node publishes.
            file: takes a `Received` or a `Timed` record for each message.
            sent: the camera's diary, which tells from when latency counts and which images are
                the lead-in; without it latency counts from the stamp.
            live: shows how it goes.
        """
        super().__init__("recorder")
        self._file = file
        self._diary = Tail(sent) if sent else None
        self._sent: dict[int, Sent] = {}
        self._live = live
        self._count = 0
        self._counted = 0
        self._recent: deque[int] = deque(maxlen=20)
        self._ready = self.create_publisher(Empty, READY_TOPIC, READY_QOS)
        for topic in task.topics:
            heard = functools.partial(self._on_results, topic)
            self.create_subscription(topic.message_type, f"/{NODE}/{topic.name}", heard, QOS)
        self.create_subscription(Timing, TIMING_TOPIC, self._on_timing, QOS)

    def _on_results(self, topic: Topic, message: Any) -> None:
        received = to_received(topic, message, time.time_ns())
        self._file.write(to_line(received))
        self._file.flush()
        if topic.name == BOXES:
            self._on_boxes(received)

    def _on_boxes(self, received: Received) -> None:
        self._count += 1
        if self._count == READY_AFTER:
            self._ready.publish(Empty())
        if self._diary is not None:
            self._sent.update(
                (record.stamp_ns, record)
                for record in self._diary.new()
                if isinstance(record, Sent)
            )
        image = self._sent.get(received.stamp_ns)
        if image is None or image.counted:
            self._show(received, received.stamp_ns if image is None else image.origin_ns)

    def _on_timing(self, message: Timing) -> None:
        timed = Timed(
            to_nanoseconds(message.header.stamp),
            time.time_ns(),
            {stage: getattr(message, stage) for stage in STAGES},
            message.frames_dropped,
        )
        self._file.write(to_line(timed))
        self._file.flush()

    def _show(self, received: Received, origin_ns: int) -> None:
        self._counted += 1
        self._recent.append(received.received_ns)
        period = (self._recent[-1] - self._recent[0]) / 1e9
        rate = f"{(len(self._recent) - 1) / period:4.1f}" if period > 0 else "   -"
        latency = (received.received_ns - origin_ns) / 1e6
        boxes = (box for box in received.detections if isinstance(box, FoundObject))
        names = Counter(box.class_name for box in boxes if box.score >= LIKELY)
        found = ", ".join(f"{count} {name}" for name, count in sorted(names.items()))
        self._live.show(
            f"frame {self._counted:4}   {rate} fps   latency {latency:5.0f} ms   "
            f"{sum(names.values()):2} detections" + (f": {found}" if found else "")
        )


def to_received(topic: Topic, message: Any, received_ns: int) -> Received:
    """What matters of an array of results."""
    header = message.header
    stamp_ns = to_nanoseconds(header.stamp)
    return Received(stamp_ns, header.frame_id, received_ns, topic.to_found(message), topic.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Record until interrupted."""
    parser = argparse.ArgumentParser("python -m demo.recorder", description=__doc__)
    parser.add_argument("--task", choices=TASKS, default="detection2d")
    parser.add_argument("--out", type=Path, required=True, help="file for the lines of JSON")
    parser.add_argument("--sent", type=Path, help="what `demo.camera --sent` writes")
    parser.add_argument("--interval", type=float, help="least seconds between two live lines")
    args = parser.parse_args(arguments)
    stop = signalled()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    live = LiveLine(sys.stdout, args.interval)
    with args.out.open("w") as file:
        executor = SingleThreadedExecutor()
        executor.add_node(Recorder(TASKS[args.task], file, args.sent, live))
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.1)
    live.close()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
