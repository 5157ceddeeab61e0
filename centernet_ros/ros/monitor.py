"""Watches the node once a second and publishes what it sees on `/diagnostics`."""

from __future__ import annotations

import dataclasses
import time
from collections import deque

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode

from centernet_ros.ros.diagnostics import (
    STUCK,
    CameraHealth,
    NodeHealth,
    camera_status,
    node_status,
)
from centernet_ros.ros.engine import Engine
from centernet_ros.ros.stream import Counts, Stream

PERIOD = 1.0
"""Seconds between two reports, as monitors expect it."""

LOOKS_BACK = 5
"""Reports that a camera's status covers: images may come seldom."""


@dataclasses.dataclass(frozen=True)
class _Look:
    """What a camera's counts were at a moment of `time.monotonic`, and when an image last came."""

    counts: Counts
    moment: float
    last_image: float


class Monitor:
    """Reports as long as the node lives, in every state of its life cycle."""

    def __init__(self, node: LifecycleNode) -> None:
        """Begin to report.

        Args:
            node: node with `state`, `parameters`, `enabled`, `engine` and `streams`.
        """
        self._node = node
        self._looks: dict[Stream, deque[_Look]] = {}
        # Not managed by the life cycle: a monitor wants to know of a node that is not active too.
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(PERIOD, self.report, clock=steady)

    def report(self) -> None:
        """Publish how everything is now."""
        node, name = self._node, self._node.get_fully_qualified_name().lstrip("/")
        array = DiagnosticArray(status=[node_status(name, self._node_health())])
        array.header.stamp = node.get_clock().now().to_msg()
        # Those of cameras that are gone are forgotten with them.
        self._looks = {stream: self._looks.get(stream) or _begin(stream) for stream in node.streams}
        for stream, looks in self._looks.items():
            looks.append(_look(stream, looks[-1]))
            health = self._camera_health(stream, looks[0], looks[-1])
            array.status.append(camera_status(name, health))
        self._publisher.publish(array)

    def _node_health(self) -> NodeHealth:
        engine: Engine | None = self._node.engine
        detector = engine.loaded if engine is not None else None
        if engine is None or detector is None:
            state = self._node.state if engine is None else "loading the network"
            failure = "" if engine is None else engine.failure
            return NodeHealth(state, self._node.enabled, failure=failure)
        return NodeHealth(
            state=self._state(),
            enabled=self._node.enabled,
            task=engine.preset.task,
            device=str(detector.device),
            backend=getattr(detector.backend, "name", type(detector.backend).__name__),
            precision=engine.precision,
            gpu_memory=gpu_memory(detector.device),
            failure=engine.failure,
            executor_failure=engine.executor_failure,
        )

    def _state(self) -> str:
        """That of the life cycle, which stays `active` where the worker did not end in time."""
        state: str = self._node.state
        return STUCK if state == "active" and not self._node.streams else state

    def _camera_health(self, stream: Stream, before: _Look, now: _Look) -> CameraHealth:
        return CameraHealth(
            name=stream.name,
            topic=stream.topic,
            seconds=max(1e-3, now.moment - before.moment),
            before=before.counts,
            now=now.counts,
            silence=now.moment - now.last_image,
            patience=self._node.parameters.no_image_warning,
            timings=stream.timings,
            rejection=stream.rejection,
            calibrated=stream.calibrator is not None,
            in_space=stream.outputs.in_space,
            problem=stream.problem,
        )


def _begin(stream: Stream) -> deque[_Look]:
    """Room for what is seen of a camera from now on; it begins with its subscription."""
    return deque([_Look(Counts(), stream.began, stream.began)], LOOKS_BACK + 1)


def _look(stream: Stream, before: _Look) -> _Look:
    counts, now = dataclasses.replace(stream.counts), time.monotonic()
    came = counts.received > before.counts.received
    return _Look(counts, now, now if came else before.last_image)


def gpu_memory(device: torch.device) -> tuple[int, int] | None:
    """Bytes that PyTorch holds of a GPU and bytes that it has; None where it cannot be asked."""
    if device.type != "cuda":
        return None
    try:
        total = torch.cuda.get_device_properties(device).total_memory
        return torch.cuda.memory_reserved(device), total
    except RuntimeError:  # a lost GPU
        return None
