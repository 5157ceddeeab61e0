"""`python -m demo`: plays images to the CenterNet node, and shows what it made of them."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from centernet_ros.bag import SourceError
from centernet_ros.resources import find_file
from centernet_ros.ros.isolation import isolated_domain
from demo.pictures import remove_pictures
from demo.report import report
from demo.session import DemoError, Session, start_all
from demo.sources import (
    Source,
    add_source_arguments,
    open_source,
    source_arguments,
)
from demo.tasks import TASKS, DemoTask

CACHE = Path("build/cache")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if everything went well, 1 if not, 2 for options that cannot be used, 130 if interrupted.
    """
    args = _parse(arguments)
    try:
        task = TASKS[args.task]
        weights = _find_weights(task, args.weights)
        source = open_source(args)
    except (SourceError, FileNotFoundError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(args, task, source, weights.resolve(), out)
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
    parser.add_argument("--weights", help="default: those of the task that come with the package")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder for the results"
    )
    parser.add_argument(
        "--node-args", nargs=argparse.REMAINDER, default=[], help="more ROS arguments of the node"
    )
    return parser.parse_args(arguments)


def _find_weights(task: DemoTask, given: str | None) -> Path:
    """The weights file that was asked for, or the one that comes with the package.

    Raises:
        FileNotFoundError: There is none; the message says what to do.
    """
    if given:
        return find_file(given)
    try:
        return find_file(f"weights/street_{task.name}.safetensors")
    except FileNotFoundError:
        run = f"street_{task.name}"
        raise FileNotFoundError(
            f"no weights for {task.name} come with the package: train them with "
            f"config/training/{run}*.yaml, then make demo TASK={task.name} "
            f"WEIGHTS=build/training/{run}/weights.safetensors"
        ) from None


def _run(args: argparse.Namespace, task: DemoTask, source: Source, weights: Path, out: Path) -> int:
    """Play, report, draw."""
    remove_pictures(out)
    print(f"playing {source.description}")
    with isolated_domain() as environment:
        # Converted networks stay in this folder too, unless the user has a place for such things.
        environment.setdefault("XDG_CACHE_HOME", str(CACHE.resolve()))
        print(
            f"starting camera, node and recorder (ROS_DOMAIN_ID {environment['ROS_DOMAIN_ID']}, "
            f"logs in {out})",
            flush=True,
        )
        with Session(task, out, environment) as session:
            start_all(
                session,
                source=source_arguments(args),
                compressed=source.compressed,
                weights=weights,
                extra=args.node_args,
            )
            session.play(0 if source.stamped else source.num_images)
            session.stop()
    problems = report(task, source, session.records, out)
    print(session.received_path)
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
