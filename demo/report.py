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
from demo.records import Exchange, FoundObject, Received, Record, Sent, Timed, match
from demo.sources import Source, StreetSource
from demo.tasks import DemoTask, Figure
from training.data.sample import Sample
from training.data.street_samples import street_classes, street_sample
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
        figures: what else the task measures against it.
    """

    sent: int
    processed: int
    latency_ms: tuple[float, float]
    rate: float
    network_ms: float
    boxes: BoxMetrics | None
    figures: Sequence[Figure] = ()

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
        rows += [(f.name, _number(f.value, f.digits), f.note) for f in self.figures]
        lines = [f"  {name:<18}{value:>8}  {note}".rstrip() for name, value, note in rows]
        return "\n".join(lines)


def _number(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def report(task: DemoTask, source: Source, records: Sequence[Record], out: Path) -> list[str]:
    """Print the table and the paths of the pictures, which are drawn into a folder.

    Args:
        task: what the node did.
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
    samples = street_truth(task, source) if isinstance(source, StreetSource) else None
    summary = summarise(task, exchanges, timings, samples)
    print(f"\n{summary.table()}\n", flush=True)
    for path in _draw(task, source, samples, exchanges, summary=summary, out=out):
        print(path)
    return [
        *find_problems(exchanges, strangers, timings),
        *find_gaps(task, exchanges),
    ]


def street_truth(task: DemoTask, source: StreetSource) -> list[Sample]:
    """The images of the street with the ground truth of a task."""
    return [street_sample(frame, task.name, f"image {i}") for i, frame in enumerate(source.frames)]


def summarise(
    task: DemoTask,
    exchanges: Sequence[Exchange],
    timings: Sequence[Timed],
    samples: Sequence[Sample] | None,
) -> Summary:
    """The numbers of the counted images.

    Args:
        task: what the node did.
        exchanges: counted images and their answers.
        timings: the node's own measurements, of any images.
        samples: images with their ground truth, by the index of the image; None for a bag.
    """
    processed = [exchange for exchange in exchanges if exchange.received is not None]
    latencies = np.array([exchange.latency_ms for exchange in processed])
    receipts = sorted(e.received.received_ns for e in processed if e.received is not None)
    period = (receipts[-1] - receipts[0]) / 1e9 if receipts else 0.0
    stamps = {exchange.sent.stamp_ns for exchange in exchanges}
    network = [1e3 * timed.seconds["network"] for timed in timings if timed.stamp_ns in stamps]
    seen = [] if samples is None else [samples[e.sent.index] for e in processed]
    names = street_classes(task.name)
    found = [to_results(task, exchange, names) for exchange in processed]
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
        boxes=None if samples is None else _evaluate_boxes(seen, found, names),
        figures=() if samples is None else task.measure(seen, found),
    )


def _evaluate_boxes(
    seen: Sequence[Sample], found: Sequence[Detections2D], class_names: Sequence[str]
) -> BoxMetrics:
    truths = [sample.truth for sample in seen]
    return evaluate_boxes(truths, [sample.ignored for sample in seen], found, class_names)


def to_results(task: DemoTask, exchange: Exchange, class_names: Sequence[str]) -> Detections2D:
    """The results of the named classes for an image; those of others are left out.

    Where the task's own array is missing or of other objects, the 2D boxes are all there is.
    """
    found = [] if exchange.received is None else boxes_of(exchange.received)
    more = () if exchange.more is None else exchange.more.detections
    known = [i for i, box in enumerate(found) if box.class_name in class_names]
    boxes = Detections2D(
        boxes=torch.tensor([found[i].box for i in known]).reshape(-1, 4),
        scores=torch.tensor([found[i].score for i in known]),
        labels=torch.tensor([class_names.index(found[i].class_name) for i in known]).long(),
    )
    if len(more) != len(found):
        return boxes
    return task.extend(boxes, [more[i] for i in known])


def boxes_of(received: Received) -> list[FoundObject]:
    """The boxes of an array."""
    return [box for box in received.detections if isinstance(box, FoundObject)]


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
        arrays = [array for array in (exchange.received, exchange.more) if array is not None]
        wrong = [array for array in arrays if array.frame_id != exchange.sent.frame_id]
        if wrong:
            problems.append(
                f"detections carry frame_id {wrong[0].frame_id!r} "
                f"where the image had {exchange.sent.frame_id!r}"
            )
            break
    stamps = {exchange.sent.stamp_ns for exchange in answered}
    counted = {exchange.sent.stamp_ns for exchange in exchanges}
    silent = [t for t in timings if t.stamp_ns in counted and t.stamp_ns not in stamps]
    if silent:
        problems.append(f"{len(silent)} images were processed, but sent no detections")
    return problems


def find_gaps(task: DemoTask, exchanges: Sequence[Exchange]) -> list[str]:
    """Where what the task tells beyond 2D boxes is missing, one sentence each."""
    problems = []
    for topic in task.topics[1:]:
        answered = [e for e in exchanges if e.received is not None]
        counts = [
            (len(e.received.detections), len(e.more.detections))
            for e in answered
            if e.received is not None and e.more is not None
        ]
        silent = len(answered) - len(counts)
        empty = sum(bool(boxes) and not more for boxes, more in counts)
        other = sum(boxes != more for boxes, more in counts) - empty
        if silent:
            problems.append(
                f"{silent} images have 2D boxes, but no array on {topic.name}: are the weights "
                f"those of {task.name}?"
            )
        if empty:
            problems.append(
                f"{topic.name} stayed empty for {empty} images with 2D boxes: is the camera "
                "calibrated? node.log tells"
            )
        if other:
            problems.append(f"{topic.name} has other objects than 2D boxes for {other} images")
    return problems


def _draw(
    task: DemoTask,
    source: Source,
    samples: Sequence[Sample] | None,
    exchanges: Sequence[Exchange],
    *,
    summary: Summary,
    out: Path,
) -> list[Path]:
    """Write the video and the contact sheet of the images that were processed."""
    known = street_classes(task.name)
    found = {
        box.class_name
        for exchange in exchanges
        if exchange.received is not None
        for box in boxes_of(exchange.received)
    }
    class_names = [*known, *sorted(found - set(known))]
    title = (
        f"{source.description} | {summary.processed} processed, {summary.dropped} dropped | "
        f"median latency {summary.latency_ms[0]:.1f} ms"
    )
    if samples is not None:
        title += " | dashed: ground truth" + (", white on the map" if task.in_space else "")
    return write_pictures(
        _shots(task, source, samples, exchanges, class_names),
        summary.processed,
        out,
        rate=source.rate,
        title=title,
        class_names=class_names,
    )


def _shots(
    task: DemoTask,
    source: Source,
    samples: Sequence[Sample] | None,
    exchanges: Sequence[Exchange],
    class_names: Sequence[str],
) -> Iterator[Shot]:
    """The processed images with what was found in them."""
    camera = source.camera if task.in_space else None
    answers = {e.sent.index: e for e in exchanges if e.received is not None}
    for i, image in enumerate(source.images()):
        if i not in answers or image is None:
            continue
        exchange = answers[i]
        found = to_results(task, exchange, class_names)
        found = found[found.scores >= LIKELY]
        seconds, fraction = divmod(exchange.sent.stamp_ns, 10**9)
        caption = (
            f"image {i}   stamp {seconds}.{fraction:09}   latency {exchange.latency_ms:.1f} ms   "
            f"{len(found)} detections"
        )
        truth = None if samples is None else samples[i].truth
        yield Shot(image, caption, found, truth, camera, task.in_space)
