"""Writes what the node publishes for a KITTI bag as KITTI's result files.

`python -m centernet_ros.ros.kitti_recorder BAG OUT`; docs/kitti.md tells how it goes with node and
player. Every frame that is written is acknowledged, so that a player can wait.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from std_msgs.msg import Header
from tqdm import tqdm

from centernet_ros.bag import SourceError
from centernet_ros.class_names import KITTI_CLASSES
from centernet_ros.kitti import format_results
from centernet_ros.kitti_bag import RECORDED_TOPIC
from centernet_ros.kitti_bag.frames import BagFrame, read_frames
from centernet_ros.ros.outputs import outputs_of
from centernet_ros.ros.processes import signalled
from centernet_ros.stamps import to_nanoseconds
from centernet_ros.structures import Detections2D
from centernet_ros.tasks.detection2d.messages import from_messages as boxes_from_messages
from centernet_ros.tasks.detection3d.messages import from_messages as solids_from_messages

BOXES, SOLIDS = "detections_2d", "detections_3d"
TOPICS = {"detection2d": (BOXES,), "detection3d": (BOXES, SOLIDS)}
"""What makes the results of an image, of each task."""

QOS = QoSProfile(depth=100)
"""Reliable, and deep enough to outlast a pause of this process."""

COMPLETE, INCOMPLETE, NOTHING = 0, 1, 2
"""Exit statuses."""

NAMED = 5
"""Frames that a sentence names at most."""


class ResultFiles:
    """A folder of result files, each written as soon as all arrays of its frame have come.

    Attributes:
        missing: stamps to names of the frames that have no file yet.
        flat: stamps to names of the frames whose objects came without a place in space: the node
            had no calibration of the image. Those are still waited for.
        strangers: arrays with a stamp that no frame has.
    """

    def __init__(
        self, folder: Path, frames: Mapping[int, BagFrame], class_names: Sequence[str], task: str
    ) -> None:
        """Nothing is written yet.

        Args:
            folder: where to; is made if need be.
            frames: frames by their stamps in nanoseconds.
            class_names: that the files may hold, in their order.
            task: key of `TOPICS`.

        Raises:
            OSError: There is no such folder, and none can be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.missing = {stamp: frame.name for stamp, frame in frames.items()}
        self.flat: dict[int, str] = {}
        self.strangers = 0
        self._folder = folder
        self._frames = frames
        self._class_names = class_names
        self._topics = TOPICS[task]
        self._arrays: dict[int, dict[str, Any]] = {}

    @property
    def complete(self) -> bool:
        """Whether nothing is waited for any more."""
        return not self.missing and not self.flat

    def add(self, topic: str, array: Any) -> bool:
        """Take an array; gives whether all is known now of its frame, whose file is then written.

        Raises:
            ValueError: The arrays of the frame make no results; the message names it.
        """
        stamp = to_nanoseconds(array.header.stamp)
        if stamp not in self._frames:
            self.strangers += 1
            return False
        arrays = self._arrays.setdefault(stamp, {})
        arrays[topic] = array
        if len(arrays) < len(self._topics):
            return False
        del self._arrays[stamp]
        frame = self._frames[stamp]
        try:
            results = self._results(frame, arrays)
        except ValueError as error:
            raise ValueError(f"frame {frame.name}: {error}") from None
        text = format_results(results, self._class_names)
        (self._folder / f"{frame.name}.txt").write_text(text)
        self.missing.pop(stamp, None)
        return stamp not in self.flat

    def _results(self, frame: BagFrame, arrays: Mapping[str, Any]) -> Detections2D:
        boxes, solids = arrays[BOXES], arrays.get(SOLIDS)
        if solids is None:
            return boxes_from_messages(boxes, self._class_names)
        if boxes.detections and not solids.detections:  # the node found no calibration
            self.flat[frame.stamp] = frame.name
            return boxes_from_messages(boxes, self._class_names)
        self.flat.pop(frame.stamp, None)
        return solids_from_messages(solids, boxes, self._class_names, frame.camera)


class KittiRecorder(Node):
    """Hears the node's arrays.

    Attributes:
        problem: why the results cannot be written; empty where they can.
    """

    def __init__(self, files: ResultFiles, node: str, task: str, progress: tqdm[Any]) -> None:
        """Listen to the topics of a node.

        Args:
            files: takes the arrays.
            node: name of the node with its namespace.
            task: what it does, a key of `TOPICS`.
            progress: shows how it goes.
        """
        super().__init__("kitti_recorder")
        self.problem = ""
        self._files = files
        self._progress = progress
        self._recorded = self.create_publisher(Header, RECORDED_TOPIC, QOS)
        types = {output.topic: output.message_type for output in outputs_of(task)}
        for topic in TOPICS[task]:
            heard = partial(self._on_array, topic)
            self.create_subscription(types[topic], f"{node}/{topic}", heard, QOS)

    def _on_array(self, topic: str, array: Any) -> None:
        missing, flat = len(self._files.missing), len(self._files.flat)
        try:
            if self._files.add(topic, array):
                self._recorded.publish(array.header)
        except (ValueError, OSError) as error:
            self.problem = str(error)
        self._progress.update(missing - len(self._files.missing))
        if len(self._files.flat) > flat:
            self.get_logger().warning(
                f"objects of {_some(self._files.flat)} have no place in space: does the node get "
                "the camera_info?"
            )

    def say_goodbye(self) -> None:
        """Wait until the acknowledgements have arrived."""
        self._recorded.wait_for_all_acked(Duration(seconds=5))


def main(arguments: Sequence[str] | None = None) -> int:
    """Record until every frame has its file, or until interrupted; returns the exit status."""
    given = sys.argv if arguments is None else ["kitti_recorder", *arguments]
    options = _parser().parse_args(remove_ros_args(given)[1:])
    if options.out.is_dir() and any(options.out.glob("*.txt")):
        return _fail(f"{options.out} holds text files already, which would mix with the new ones")
    try:
        frames = read_frames(options.bag)
        files = ResultFiles(options.out, frames, options.classes, options.task)
    except (SourceError, OSError) as error:
        return _fail(str(error))
    problem = _record(files, options, given)
    if problem:
        return _fail(problem)
    return _report(files, len(frames), options.out)


def _record(files: ResultFiles, options: argparse.Namespace, ros_arguments: Sequence[str]) -> str:
    """Listen; gives what was wrong, nothing if all is well."""
    stop = signalled()
    rclpy.init(args=list(ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
    with tqdm(total=len(files.missing), unit=" frames", disable=None) as progress:
        executor = SingleThreadedExecutor()
        recorder = KittiRecorder(files, options.node, options.task, progress)
        executor.add_node(recorder)
        topics = " and ".join(f"{options.node}/{topic}" for topic in TOPICS[options.task])
        progress.write(f"listening to {topics} for {len(files.missing)} frames")
        try:
            while not files.complete and not recorder.problem and not stop.is_set():
                executor.spin_once(timeout_sec=0.1)
            recorder.say_goodbye()
        except ExternalShutdownException:
            pass
        finally:
            rclpy.try_shutdown()
    return recorder.problem


def _report(files: ResultFiles, count: int, out: Path) -> int:
    """Say what was recorded and what was not; returns the exit status."""
    print(f"{count - len(files.missing)} of {count} frames in {out}")
    problems = []
    if files.missing:
        problems.append(
            f"no results came of {_some(files.missing)}: was the node slower than the player?"
        )
    if files.flat:
        problems.append(
            f"objects of {_some(files.flat)} have no place in space: did the node get camera_info?"
        )
    if files.strangers:
        problems.append(
            f"{files.strangers} arrays carry the stamp of no frame: does another camera run?"
        )
    for problem in problems:
        print(f"kitti_recorder: {problem}", file=sys.stderr)
    return COMPLETE if files.complete else INCOMPLETE


def _some(frames: Mapping[int, str]) -> str:
    names = list(frames.values())
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ("frame " if len(names) == 1 else "frames ") + ", ".join(names[:NAMED]) + more


def _fail(reason: str) -> int:
    print(f"kitti_recorder: {reason}", file=sys.stderr)
    return NOTHING


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m centernet_ros.ros.kitti_recorder",
        description="Write what the node publishes for a KITTI bag as KITTI's result files.",
        epilog="exit status: 0 every frame has a file; 1 some have none, or no place in space; "
        "2 nothing can be recorded",
    )
    parser.add_argument("bag", type=Path, help="folder that centernet_ros.kitti_bag has written")
    parser.add_argument("out", type=Path, help="folder for the result files")
    parser.add_argument("--task", choices=tuple(TOPICS), default="detection3d", help="of the node")
    parser.add_argument("--node", default="/centernet", help="its name (default: /centernet)")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=KITTI_CLASSES,
        help=f"classes of the network, in their order (default: {' '.join(KITTI_CLASSES)})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
