"""What came of a demo: the table, the pictures, and what was wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from centernet_ros.structures import Detections2D
from demo.pictures import Shot, write_pictures
from demo.recorder import LIKELY
from demo.records import Exchange, Received, Record, Sent, Timed, match
from demo.sources import Source, StreetSource
from training.data.street import CLASS_NAMES, StreetFrame
from training.evaluation.coco import BoxMetrics, evaluate_boxes


@dataclass(frozen=True)
class Summary:
    """The numbers of a demo.

    Attributes:
        sent: images published.
        processed: images for which detections came.
        latency_ms: median and 99th percentile in milliseconds; NaN if nothing was processed.
        rate: arrays of detections a second; NaN for fewer than two.
        network_ms: median time in the network in milliseconds; NaN without timing messages.
        boxes: metrics against the ground truth of the processed images; None without one.
    """

    sent: int
    processed: int
    latency_ms: tuple[float, float]
    rate: float
    network_ms: float
    boxes: BoxMetrics | None

    @property
    def dropped(self) -> int:
        """Images published for which no detections came."""
        return self.sent - self.processed

    def table(self) -> str:
        """The numbers for people."""
        rows = [
            ("frames sent", str(self.sent), ""),
            ("frames processed", str(self.processed), ""),
            ("frames dropped", str(self.dropped), ""),
            ("rate", _number(self.rate, 1), "Hz"),
            ("latency, median", _number(self.latency_ms[0], 1), "ms, image to detections"),
            ("latency, 99 %", _number(self.latency_ms[1], 1), "ms"),
            ("network, median", _number(self.network_ms, 1), "ms of it"),
        ]
        if self.boxes is None:
            rows += [("AP@0.5", "n/a", "no ground truth"), ("AP", "n/a", "")]
        else:
            per_class = (self.boxes.per_class_ap50, self.boxes.per_class_ap)
            notes = [
                ", ".join(f"{name} {_number(value, 3)}" for name, value in values.items())
                for values in per_class
            ]
            rows += [
                ("AP@0.5", _number(self.boxes.ap50, 3), notes[0]),
                ("AP", _number(self.boxes.ap, 3), notes[1]),
            ]
        lines = [f"  {name:<18}{value:>8}  {note}".rstrip() for name, value, note in rows]
        return "\n".join(lines)


def _number(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def report(source: Source, records: Sequence[Record], out: Path) -> list[str]:
    """Print the table and the paths of the pictures, which are drawn into a folder.

    Args:
        source: what was played.
        records: what camera and recorder have written down.
        out: folder.

    Returns:
        What was wrong, one sentence each.
    """
    timings = [record for record in records if isinstance(record, Timed)]
    exchanges, strangers = match(
        [record for record in records if isinstance(record, Sent)],
        [record for record in records if isinstance(record, Received)],
    )
    frames = source.frames if isinstance(source, StreetSource) else None
    summary = summarise(exchanges, timings, frames)
    print(f"\n{summary.table()}\n", flush=True)
    for path in _draw(source, exchanges, summary, out):
        print(path)
    return find_problems(exchanges, strangers, timings)


def summarise(
    exchanges: Sequence[Exchange],
    timings: Sequence[Timed],
    frames: Sequence[StreetFrame] | None,
) -> Summary:
    """The numbers of the counted images.

    Args:
        exchanges: counted images and their answers.
        timings: the node's own measurements, of any images.
        frames: street images with their ground truth, by the index of the image; None for a bag.
    """
    processed = [exchange for exchange in exchanges if exchange.received is not None]
    latencies = np.array([exchange.latency_ms for exchange in processed])
    receipts = sorted(e.received.received_ns for e in processed if e.received is not None)
    period = (receipts[-1] - receipts[0]) / 1e9 if receipts else 0.0
    stamps = {exchange.sent.stamp_ns for exchange in exchanges}
    network = [1e3 * timed.seconds["network"] for timed in timings if timed.stamp_ns in stamps]
    return Summary(
        sent=len(exchanges),
        processed=len(processed),
        latency_ms=(
            (float(np.median(latencies)), float(np.percentile(latencies, 99)))
            if processed
            else (math.nan, math.nan)
        ),
        rate=(len(receipts) - 1) / period if period > 0 else math.nan,
        network_ms=float(np.median(network)) if network else math.nan,
        boxes=None if frames is None else _evaluate(processed, frames),
    )


def _evaluate(processed: Sequence[Exchange], frames: Sequence[StreetFrame]) -> BoxMetrics:
    seen = [frames[exchange.sent.index] for exchange in processed]
    return evaluate_boxes(
        [frame.objects for frame in seen],
        [frame.ignored for frame in seen],
        [to_detections(exchange.received, CLASS_NAMES) for exchange in processed],
        CLASS_NAMES,
    )


def to_detections(received: Received | None, class_names: Sequence[str]) -> Detections2D:
    """The boxes of the named classes in an array; boxes of others are left out."""
    found = () if received is None else received.detections
    known = [box for box in found if box.class_name in class_names]
    return Detections2D(
        boxes=torch.tensor([box.box for box in known]).reshape(-1, 4),
        scores=torch.tensor([box.score for box in known]),
        labels=torch.tensor([class_names.index(box.class_name) for box in known]).long(),
    )


def find_problems(
    exchanges: Sequence[Exchange], strangers: Sequence[Received], timings: Sequence[Timed]
) -> list[str]:
    """What contradicts the node's promises, one sentence each; nothing if all is well.

    Args:
        exchanges: counted images and their answers.
        strangers: arrays for which no image was sent.
        timings: the node's own measurements.
    """
    problems = []
    answered = [exchange for exchange in exchanges if exchange.received is not None]
    if not answered:
        problems.append("no detections came for any image")
    if strangers:
        problems.append(
            f"{len(strangers)} arrays of detections carry a stamp that no image had, "
            f"the first one {strangers[0].stamp_ns} ns"
        )
    for exchange in answered:
        received = exchange.received
        if received is not None and received.frame_id != exchange.sent.frame_id:
            problems.append(
                f"detections carry frame_id {received.frame_id!r} "
                f"where the image had {exchange.sent.frame_id!r}"
            )
            break
    stamps = {exchange.sent.stamp_ns for exchange in answered}
    counted = {exchange.sent.stamp_ns for exchange in exchanges}
    silent = [t for t in timings if t.stamp_ns in counted and t.stamp_ns not in stamps]
    if silent:
        problems.append(f"{len(silent)} images were processed, but sent no detections")
    return problems


def _draw(source: Source, exchanges: Sequence[Exchange], summary: Summary, out: Path) -> list[Path]:
    """Write the video and the contact sheet of the images that were processed."""
    found = {
        box.class_name
        for exchange in exchanges
        if exchange.received is not None
        for box in exchange.received.detections
    }
    class_names = [*CLASS_NAMES, *sorted(found - set(CLASS_NAMES))]
    title = (
        f"{source.description} | {summary.processed} processed, {summary.dropped} dropped | "
        f"median latency {summary.latency_ms[0]:.1f} ms"
    )
    if isinstance(source, StreetSource):
        title += " | dashed: ground truth"
    return write_pictures(
        _shots(source, exchanges, class_names),
        summary.processed,
        out,
        rate=source.rate,
        title=title,
        class_names=class_names,
    )


def _shots(
    source: Source, exchanges: Sequence[Exchange], class_names: Sequence[str]
) -> Iterator[Shot]:
    """The processed images with what was found in them."""
    truths = [f.objects for f in source.frames] if isinstance(source, StreetSource) else None
    answers = {e.sent.index: e for e in exchanges if e.received is not None}
    for i, image in enumerate(source.images()):
        if i not in answers or image is None:
            continue
        exchange = answers[i]
        found = to_detections(exchange.received, class_names)
        found = found[found.scores >= LIKELY]
        seconds, fraction = divmod(exchange.sent.stamp_ns, 10**9)
        caption = (
            f"image {i}   stamp {seconds}.{fraction:09}   latency {exchange.latency_ms:.1f} ms   "
            f"{len(found)} detections"
        )
        yield Shot(image, caption, found, None if truths is None else truths[i])
