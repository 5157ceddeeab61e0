"""Runs camera, node and recorder together, and ends all three whatever happens."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from typing_extensions import Self

from centernet_ros.backends import choose_backend, choose_device
from centernet_ros.bag import SourceError
from centernet_ros.resources import package_file
from centernet_ros.ros.processes import Child, child_process
from demo.camera import COMPRESSED_TOPIC, IMAGE_TOPIC, INFO_TOPIC
from demo.recorder import NODE, LiveLine
from demo.records import Received, Record, Sent, Tail, Timed
from demo.tasks import DemoTask

READY_TIMEOUT = 180.0
"""Seconds until all three hear each other; loading PyTorch from a slow disk takes a minute."""

PER_IMAGE = 1.0
"""Seconds more for each image that the camera generates beforehand; a busy machine takes 0.2."""

QUIET = 2.0
"""Seconds without a message after the last image, after which none is expected any more."""

POLL = 0.05

MIN_SCORE = 0.05
"""The node publishes unlikely boxes too: average precision is made of them."""


INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


class DemoError(RuntimeError):
    """The processes did not do their work; the message says which one and why."""


class Session:
    """Three processes and what they have written down so far.

    Attributes:
        task: what the node does.
        records: all of camera and recorder that were read, each in its own order.
    """

    def __init__(self, task: DemoTask, folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing runs yet.

        Args:
            task: tells what answers an image.
            folder: takes logs and records of the processes, in place of those of an earlier demo.
            environment: of the processes; its ROS domain is theirs alone.
        """
        self.records: list[Record] = []
        self.task = task
        self._folder = folder
        self._environment = environment
        self._children: dict[str, Child] = {}
        self._stack = contextlib.ExitStack()
        for path in (self.sent_path, self.received_path):
            path.unlink(missing_ok=True)
        self._tails = [Tail(self.sent_path), Tail(self.received_path)]
        self._shown = ""
        self._live = LiveLine(sys.stdout)

    @property
    def sent_path(self) -> Path:
        """The camera's diary."""
        return self._folder / "sent.jsonl"

    @property
    def received_path(self) -> Path:
        """The recorder's messages."""
        return self._folder / "received.jsonl"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        # A second Ctrl-C must not cut off what the first one began: at most 10 s a process.
        kept = [(number, signal.signal(number, signal.SIG_IGN)) for number in INTERRUPTIONS]
        try:
            self._live.close()
            self._stack.close()
        finally:
            for number, handler in kept:
                signal.signal(number, handler)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a process of this name with the Python of this one; its output goes to a log."""
        child = child_process(
            [sys.executable, *command], self._environment, self._folder / f"{name}.log"
        )
        self._children[name] = self._stack.enter_context(child)

    def play(self, generated: int = 0) -> None:
        """Wait until everything is played and answered, with a live line.

        Args:
            generated: how many images the camera generates before it plays.

        Raises:
            DemoError: A process ended too early or does not get ready.
            SourceError: The camera found its source unreadable.
        """
        timeout = READY_TIMEOUT + PER_IMAGE * generated
        self._wait(self._playing, timeout, "camera, node and recorder do not hear each other")
        while self._children["camera"].process.poll() is None:
            self._look()
        self._look()
        last, count = time.monotonic(), -1
        while time.monotonic() < last + QUIET and not self._all_answered():
            if len(self.records) != count:
                last, count = time.monotonic(), len(self.records)
            self._look()

    def stop(self) -> None:
        """Interrupt what still runs.

        Raises:
            DemoError: A process did not end with exit status 0.
        """
        self._live.close()
        statuses = {name: child.stop() for name, child in self._children.items()}
        self._read()
        for name, status in statuses.items():
            if status != 0:
                raise DemoError(self._ended(name, "did not end well when interrupted"))

    def _playing(self) -> bool:
        return any(isinstance(record, Sent) and record.counted for record in self.records)

    def _all_answered(self) -> bool:
        stamps = {r.stamp_ns for r in self.records if isinstance(r, Sent) and r.counted}
        timed = {record.stamp_ns for record in self.records if isinstance(record, Timed)}
        arrays = [record for record in self.records if isinstance(record, Received)]
        return stamps <= timed and all(
            stamps <= {array.stamp_ns for array in arrays if array.topic == topic.name}
            for topic in self.task.topics
        )

    def _wait(self, condition: Callable[[], bool], timeout: float, problem: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            self._look()
            if time.monotonic() > deadline:
                logs = "\n".join(f"{n}: {_tail(c.output, 3)}" for n, c in self._children.items())
                raise DemoError(f"after {timeout:.0f} s {problem}:\n{logs}")

    def _look(self) -> None:
        """Read what is new, show the live line, and check that all live."""
        time.sleep(POLL)
        self._read()
        self._show()
        for name, child in self._children.items():
            status = child.process.poll()
            if status is None or (name == "camera" and status == 0):
                continue
            if name == "camera" and status == 2:
                raise SourceError(_tail(child.output, 1))
            raise DemoError(self._ended(name, "ended too early"))

    def _show(self) -> None:
        """Show the recorder's last line; before it has one, how far the camera is."""
        for name in ("recorder", "camera"):
            if lines := self._children[name].output.splitlines():
                if lines[-1] != self._shown:
                    self._shown = lines[-1]
                    self._live.show(self._shown)
                return

    def _read(self) -> None:
        for tail in self._tails:
            self.records.extend(tail.new())

    def _ended(self, name: str, problem: str) -> str:
        child = self._children[name]
        return (
            f"the {name} {problem} (exit status {child.process.returncode}). "
            f"The end of {child.log}:\n{_tail(child.output, 15)}"
        )


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:]) or "(no output)"


def start_all(
    session: Session,
    *,
    source: Sequence[str],
    compressed: bool,
    weights: Path,
    extra: Sequence[str],
) -> None:
    """Start the three processes.

    Args:
        session: takes them.
        source: arguments that choose the camera's source.
        compressed: whether it publishes CompressedImage.
        weights: file of the network.
        extra: further ROS arguments of the node, e.g. `-p device:=cpu`.
    """
    parameters = {
        "weights": weights,
        # Not `auto`, which would convert the network beside the first images and drop some.
        "backend": choose_backend(choose_device("auto")),
        "score_threshold": MIN_SCORE,
        "image_transport": "compressed" if compressed else "raw",
    }
    remappings = {
        "__node": NODE,
        "image": IMAGE_TOPIC,
        "image/compressed": COMPRESSED_TOPIC,
        "camera_info": INFO_TOPIC,
    }
    node = [str(package_file("scripts/centernet_node")), "--ros-args"]
    for name, value in parameters.items():
        node += ["-p", f"{name}:={value}"]
    for name, topic in remappings.items():
        node += ["-r", f"{name}:={topic}"]
    session.start("node", [*node, *extra])
    sent = ["--sent", str(session.sent_path)]
    session.start("camera", ["-m", "demo.camera", "--wait", *sent, *source])
    recorder = ["-m", "demo.recorder", "--task", session.task.name]
    interval = ["--interval", "0.2"] if sys.stdout.isatty() else []
    session.start("recorder", [*recorder, "--out", str(session.received_path), *sent, *interval])
