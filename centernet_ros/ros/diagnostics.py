"""How the node and its cameras are, as `/diagnostics` tells it to monitors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from centernet_ros.msg import Timing
from centernet_ros.ros.stream import Counts

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE

STUCK = "active, but failed to deactivate"
"""State of a node whose worker did not end in time: it has no cameras any more."""

STUCK_AFTER = 4.0
"""Seconds in which images come and none is finished, after which that is a fault."""

STAGES = ("received", "queued", "preprocess", "network", "decode", "publish")
"""Fields of a Timing whose sum is the age at publishing."""


@dataclass(frozen=True)
class NodeHealth:
    """The node and its network at a moment.

    Attributes:
        state: of the life cycle, such as `active`.
        enabled: whether images are worked on.
        task: of the network; empty as long as there is none.
        device: that it runs on.
        backend: that executes it.
        precision: numbers that it computes with.
        gpu_memory: bytes that PyTorch holds and bytes there are; None without a GPU.
        failure: why a GPU was given up; empty where none was.
        executor_failure: why a faster executor is not used; empty where none failed.
    """

    state: str
    enabled: bool = True
    task: str = ""
    device: str = ""
    backend: str = ""
    precision: str = ""
    gpu_memory: tuple[int, int] | None = None
    failure: str = ""
    executor_failure: str = ""


@dataclass(frozen=True)
class CameraHealth:
    """One camera over a period.

    Attributes:
        name: the camera's; empty where there is only one.
        topic: of its images.
        seconds: length of the period.
        before: its counts at the beginning.
        now: its counts at the end.
        silence: seconds since the last image, or since the start.
        patience: seconds of silence that are no fault; 0 for any.
        timings: of its newest images, the last one at the end.
        rejection: why its last unusable image was so.
        calibrated: whether its calibration is needed.
        in_space: whether the task tells places in space; else images are only rectified by it.
        problem: why it could not be used for the last image with results; empty where it could.
    """

    name: str
    topic: str
    seconds: float
    before: Counts
    now: Counts
    silence: float
    patience: float
    timings: Sequence[Timing] = ()
    rejection: str = ""
    calibrated: bool = False
    in_space: bool = False
    problem: str = ""

    def new(self, count: str) -> int:
        """How much a count of `Counts` grew."""
        grown: int = getattr(self.now, count) - getattr(self.before, count)
        return grown

    def rate(self, count: str) -> float:
        """How much it grew a second."""
        return self.new(count) / self.seconds


def node_status(name: str, health: NodeHealth) -> DiagnosticStatus:
    """The status of the node.

    Args:
        name: of the node, put before that of the status.
        health: of the moment.
    """
    values = {
        "state": health.state,
        "enabled": health.enabled,
        "task": health.task,
        "device": health.device,
        "backend": health.backend,
        "precision": health.precision,
        "GPU failure": health.failure,
        "executor failure": health.executor_failure,
    }
    if health.gpu_memory is not None:
        held, total = (size / 2**20 for size in health.gpu_memory)
        values |= {"GPU memory held (MiB)": f"{held:.0f}", "GPU memory (MiB)": f"{total:.0f}"}
    level, message = OK, f"{health.state} on {health.device}" if health.device else health.state
    if health.failure:
        level, message = ERROR, f"GPU given up, going on with the CPU: {health.failure}"
    elif health.state == STUCK:
        level, message = WARN, f"{health.state}: deactivate it once more"
    elif not health.enabled:
        message = f"{message}, disabled by ~/enable"
    return _status(level, f"{name}: network", message, name, values)


def camera_status(name: str, health: CameraHealth) -> DiagnosticStatus:
    """The status of a camera.

    Args:
        name: of the node, put before the camera's.
        health: of a period.
    """
    level, message = _verdict(health)
    totals = {f"images {name}": count for name, count in vars(health.now).items()}
    values = {
        "topic": health.topic,
        "input rate (Hz)": f"{health.rate('received'):.1f}",
        "processed rate (Hz)": f"{health.rate('processed'):.1f}",
        "seconds since the last image": f"{health.silence:.1f}",
        **_times(health.timings),
        **totals,
        "last rejection": health.rejection,
        "calibration": (health.problem or "good") if health.calibrated else "not needed",
    }
    return _status(level, f"{name}: {health.name or 'camera'}", message, health.topic, values)


def _verdict(health: CameraHealth) -> tuple[bytes, str]:
    """Level and sentence: the first fault there is."""
    rejected, stale = health.new("rejected"), health.new("stale")
    # What the last image lacked is no news where there was none since.
    unplaced = health.calibrated and health.problem and health.new("processed")
    missing = "no 3D" if health.in_space else "cannot rectify"
    faults = (
        (
            health.silence > (health.patience or math.inf),
            STALE,
            f"no image on {health.topic} for {health.silence:.0f} s",
        ),
        (
            rejected and not health.new("processed"),
            ERROR,
            f"no image can be used: the last one {health.rejection}",
        ),
        (rejected, WARN, f"{rejected} images cannot be used: the last one {health.rejection}"),
        (stale, WARN, f"{stale} images older than max_age are left out"),
        (unplaced, WARN, f"{missing}: {health.problem}"),
        (
            health.new("idle") and not health.new("processed"),
            OK,
            "idle: nobody listens, or the node is disabled",
        ),
        (
            health.new("dropped") and not health.new("processed") and health.seconds > STUCK_AFTER,
            ERROR,
            f"images come, but none was finished in {health.seconds:.0f} s: the network is stuck, "
            "or far too slow",
        ),
    )
    processed, received = health.rate("processed"), health.rate("received")
    well = OK, f"{processed:.1f} of {received:.1f} images a second processed"
    return next(((level, text) for applies, level, text in faults if applies), well)


def _times(timings: Sequence[Timing]) -> dict[str, str]:
    """Milliseconds from stamp to publishing, of the last image and in the median, and stages."""
    if not timings:
        return {}
    values = {"age at publish, last (ms)": f"{1e3 * timings[-1].total:.1f}"}
    for stage, key in (("total", "age at publish"), *((stage, stage) for stage in STAGES)):
        median = statistics.median(getattr(timing, stage) for timing in timings)
        values[f"{key}, median (ms)"] = f"{1e3 * median:.1f}"
    return values


def _status(
    level: bytes, name: str, message: str, hardware: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=hardware,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
