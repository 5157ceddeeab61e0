"""`python -m demo`: plays images to the CenterNet node, and shows what it made of them."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from centernet_ros.bag import SourceError
from centernet_ros.ros.isolation import isolated_domain
from centernet_ros.ros.resources import find_file
from demo.session import DemoError, Session, start_all
from demo.sources import (
    Source,
    add_source_arguments,
    open_source,
    source_arguments,
)

TASKS = ("detection2d",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if everything went well, 1 if not, 2 for options that cannot be used, 130 if interrupted.
    """
    args = _parse(arguments)
    try:
        source = open_source(args)
        weights = find_file(args.weights or f"weights/street_{args.task}.safetensors")
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
    from demo.report import report  # loads PyTorch, which would slow the other processes' start

    problems = report(source, session.records, out)
    print(session.received_path)
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
