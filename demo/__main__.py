"""`python -m demo`: plays images to the CenterNet node, and shows what it made of them."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from centernet_ros.ros.isolation import isolated_domain
from centernet_ros.ros.resources import find_file
from demo.pictures import Shot, write_pictures
from demo.recorder import LIKELY
from demo.records import Exchange, Received, Sent, Timed, match
from demo.report import Summary, find_problems, summarise
from demo.session import DemoError, Session, start_all
from demo.sources import (
    Source,
    SourceError,
    StreetSource,
    add_source_arguments,
    open_source,
    source_arguments,
)
from training.data.street import CLASS_NAMES

TASKS = ("detection2d",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if everything went well, 1 if not, 2 for options that cannot be used, 130 if interrupted.
    """
    args = _parse(arguments)
    try:
        source = open_source(args)
        weights = find_file(args.weights or f"weights/street_{args.task}_resnet18.safetensors")
    except (SourceError, FileNotFoundError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(args, source, weights.resolve(), out)
    except SourceError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m demo",
        description="A camera, the CenterNet node and a recorder exchange ROS 2 messages.",
    )
    add_source_arguments(parser)
    parser.add_argument("--task", choices=TASKS, default=TASKS[0])
    parser.add_argument("--weights", help="default: those of the task that come with the package")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder for the results"
    )
    parser.add_argument(
        "--node-args", nargs=argparse.REMAINDER, default=[], help="more ROS arguments of the node"
    )
    return parser.parse_args(arguments)


def _run(args: argparse.Namespace, source: Source, weights: Path, out: Path) -> int:
    """Play, report, draw."""
    print(f"playing {source.description}")
    with isolated_domain() as environment:
        print(
            f"starting camera, node and recorder (ROS_DOMAIN_ID {environment['ROS_DOMAIN_ID']}, "
            f"logs in {out})",
            flush=True,
        )
        with Session(out, environment) as session:
            start_all(
                session,
                source=source_arguments(args),
                compressed=source.compressed,
                weights=weights,
                extra=args.node_args,
            )
            session.play()
            session.stop()
    timings = [record for record in session.records if isinstance(record, Timed)]
    exchanges, strangers = match(
        [record for record in session.records if isinstance(record, Sent)],
        [record for record in session.records if isinstance(record, Received)],
    )
    frames = source.frames if isinstance(source, StreetSource) else None
    summary = summarise(exchanges, timings, frames)
    print(f"\n{summary.table()}\n", flush=True)
    files = _draw(source, exchanges, summary, out)
    for path in [*files, session.received_path]:
        print(path)
    problems = find_problems(exchanges, strangers, timings)
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


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
        assert exchange.received is not None
        found = exchange.received.to_detections(class_names)
        found = found[found.scores >= LIKELY]
        seconds, fraction = divmod(exchange.sent.stamp_ns, 10**9)
        caption = (
            f"image {i}   stamp {seconds}.{fraction:09}   latency {exchange.latency_ms:.1f} ms   "
            f"{len(found)} detections"
        )
        yield Shot(image, caption, found, None if truths is None else truths[i])


if __name__ == "__main__":
    sys.exit(main())
