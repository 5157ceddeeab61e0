"""The camera process: publishes the images of a source when they are due.

`python -m demo.camera` plays at once; `--wait` shows the first image until the recorder says that
detections of it arrive, so that nothing of the film is lost. `--lossless` shows every image of a
KITTI bag until `centernet_ros.ros.kitti_recorder` has written its results.
"""

from __future__ import annotations

import argparse
import itertools
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Empty, Header

from centernet_ros.bag import SourceError
from centernet_ros.kitti_bag import RECORDED_TOPIC
from centernet_ros.stamps import NANOSECONDS, to_nanoseconds
from demo.recorder import READY_QOS, READY_TOPIC, LiveLine
from demo.records import Sent, to_line, to_stamp
from demo.sources import (
    Item,
    Source,
    add_source_arguments,
    open_source,
)

IMAGE_TOPIC = "/camera/image"
INFO_TOPIC = "/camera/camera_info"
COMPRESSED_TOPIC = f"{IMAGE_TOPIC}/compressed"

LEAD_IN = 0.5
"""Seconds between two showings of the first image; enough for the slow first inference to end."""

PATIENCE = 5.0
"""Seconds until an image whose results are not recorded is shown again."""

COMPLAIN = 6
"""Showings of an image until a line says so, and again and again."""

QOS = QoSProfile(depth=10)
"""Reliable: a demo that counts lost images must not lose them on the way."""


class Camera(Node):
    """Publishes a source's messages and writes down when it did so."""

    def __init__(self, source: Source, diary: TextIO | None) -> None:
        """Offer the topics.

        Args:
            source: what to publish.
            diary: takes a `Sent` record before each image is published.
        """
        super().__init__("camera")
        self._source = source
        self._diary = diary
        if source.compressed:
            self._images = self.create_publisher(CompressedImage, COMPRESSED_TOPIC, QOS)
        else:
            self._images = self.create_publisher(Image, IMAGE_TOPIC, QOS)
        self._infos = self.create_publisher(CameraInfo, INFO_TOPIC, QOS)
        self._ready = False
        self.create_subscription(Empty, READY_TOPIC, self._on_ready, READY_QOS)
        # Generating images in between would make them late.
        self._generated = None if source.stamped else list(_told(source))

    def _items(self) -> Iterator[Item]:
        return self._source.items() if self._generated is None else iter(self._generated)

    def lead_in(self) -> None:
        """Show the first image until the recorder is ready, and leave a pause after it.

        The detections of these images are not counted: they load the network's memory and prove
        that all three processes hear each other.
        """
        items = list(_until_first_image(self._items()))
        before = to_nanoseconds(items[-1].message.header.stamp) - NANOSECONDS
        for shown in itertools.count():
            if self._ready:
                break
            if self._images.get_subscription_count() > 0:
                # Just before the recording, so that no image of it has the same stamp. Before one
                # that begins at 0 there is no time; the present is far behind it.
                stamp = before + shown if self._source.stamped and before >= 0 else time.time_ns()
                for item in items:
                    item.message.header.stamp = to_stamp(stamp)
                    self._publish(item, index=-1, origin_ns=time.time_ns())
            rclpy.spin_once(self, timeout_sec=LEAD_IN)
        time.sleep(LEAD_IN)

    def play(self) -> None:
        """Publish everything when it is due, and wait until the subscribers have it.

        Raises:
            SourceError: A recording turned out to be damaged.
        """
        items = self._items()
        start, start_ns = time.monotonic(), time.time_ns()
        count = itertools.count()
        for item in items:
            time.sleep(max(0.0, start + item.offset - time.monotonic()))
            origin_ns = time.time_ns()
            if not self._source.stamped:
                origin_ns = start_ns + int(item.offset * NANOSECONDS)
                item.message.header.stamp = to_stamp(origin_ns)
            self._publish(item, next(count) if item.is_image else -1, origin_ns)
        self._images.wait_for_all_acked(Duration(seconds=5))

    def play_lossless(self) -> None:
        """Publish a KITTI bag, each image with the calibration before it until it is recorded.

        An image is shown again now and then, as it may have come before all were there to hear it.

        Raises:
            SourceError: A recording turned out to be damaged.
        """
        recorded: set[int] = set()
        self.create_subscription(
            Header, RECORDED_TOPIC, lambda header: recorded.add(to_nanoseconds(header.stamp)), QOS
        )
        info: Item | None = None
        count = itertools.count()
        for item in self._source.items():
            if item.is_image:
                self._show_until_recorded(item, info, next(count), recorded)
            else:
                info = item

    def _show_until_recorded(
        self, image: Item, info: Item | None, index: int, recorded: set[int]
    ) -> None:
        stamp = to_nanoseconds(image.message.header.stamp)
        for showing in itertools.count(1):
            self._spin_until(lambda: self._images.get_subscription_count() > 0)
            if info is not None:
                self._publish(info, -1, time.time_ns())
                # So that no image is taken for one of another camera.
                self._infos.wait_for_all_acked(Duration(seconds=5))
            self._publish(image, index, time.time_ns())
            if self._spin_until(lambda: stamp in recorded, PATIENCE):
                return
            if showing % COMPLAIN == 0:
                print(
                    f"nothing is recorded of the image of stamp {stamp} after "
                    f"{showing * PATIENCE:.0f} s: do node and kitti_recorder run?",
                    file=sys.stderr,
                )

    def _spin_until(self, condition: Callable[[], bool], seconds: float = math.inf) -> bool:
        """Hear messages until a condition holds, or for so long; gives whether it holds."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            rclpy.spin_once(self, timeout_sec=0.05)
        return condition()

    def _publish(self, item: Item, index: int, origin_ns: int) -> None:
        if not item.is_image:
            self._infos.publish(item.message)
            return
        if self._diary is not None:
            header = item.message.header
            record = Sent(index, to_nanoseconds(header.stamp), origin_ns, header.frame_id)
            self._diary.write(to_line(record))
            self._diary.flush()  # before the answer can arrive
        self._images.publish(item.message)

    def _on_ready(self, _: Empty) -> None:
        self._ready = True


def _told(source: Source) -> Iterator[Item]:
    """The messages of a source that generates them, while a line tells how far it is."""
    line, count = LiveLine(sys.stdout, interval=1.0), 0
    for item in source.items():
        count += item.is_image
        line.show(f"generated {count} of {source.num_images} images")
        yield item
    line.close()


def _until_first_image(items: Iterator[Item]) -> Iterator[Item]:
    """What is needed to show the first image: it and what describes its camera."""
    info: Item | None = None
    image: Item | None = None
    for item in items:
        if item.is_image:
            if image is not None:  # a camera that is described later, or never
                break
            image = item
        elif info is None:
            info = item
        if info is not None and image is not None:
            break
    return (item for item in (info, image) if item is not None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a source; exit status 2 where there is nothing to play."""
    parser = argparse.ArgumentParser("python -m demo.camera", description=__doc__)
    add_source_arguments(parser)
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--wait", action="store_true", help="show the first image until the recorder is ready"
    )
    start.add_argument(
        "--lossless",
        action="store_true",
        help="show each image of a bag until its results are recorded",
    )
    parser.add_argument("--sent", type=Path, help="file for a line of JSON about each image")
    args = parser.parse_args(arguments)
    if args.lossless and args.bag is None:
        parser.error("--lossless plays a bag: it needs --bag")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # rclpy's own handlers would end the context under a publication in progress.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    diary = args.sent.open("w") if args.sent else None
    try:
        camera = Camera(open_source(args), diary)
        if args.wait:
            camera.lead_in()
        if args.lossless:
            camera.play_lossless()
        else:
            camera.play()
    except SourceError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    finally:
        rclpy.try_shutdown()
        if diary is not None:
            diary.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
