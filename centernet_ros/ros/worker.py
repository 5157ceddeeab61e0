"""The thread that turns images into results, always the newest of each camera."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from rclpy.lifecycle import LifecycleNode

from centernet_ros.encodings import ImageError
from centernet_ros.msg import Timing
from centernet_ros.ros.engine import Engine, StageTimes
from centernet_ros.ros.frame import Frame, finish, flat, in_camera_pixels, open_frame
from centernet_ros.ros.mailbox import Mailbox
from centernet_ros.ros.pairing import Arrival
from centernet_ros.ros.parameters import NodeParameters
from centernet_ros.ros.stream import Stream
from centernet_ros.ros.transforms import TransformError, Transforms
from centernet_ros.structures import Detections2D

STOP_TIMEOUT = 20.0
"""Seconds that the images in work may still take when the worker is stopped."""

SHUT_DOWN_TIMEOUT = 1.0
"""The same once ROS is shut down, when their results cannot be sent any more."""


class Worker:
    """Takes images from the executor's thread and publishes their results from its own."""

    def __init__(
        self,
        node: LifecycleNode,
        engine: Engine,
        streams: Sequence[Stream],
        mailbox: Mailbox[Arrival],
        transforms: Transforms | None,
    ) -> None:
        """Begin to work.

        Args:
            node: node with `parameters` and `enabled`, which are looked at for every image.
            engine: runs the network.
            streams: the cameras.
            mailbox: holds the newest image of each camera under the camera's name.
            transforms: to the frame that places in space are wanted in; None for the camera's own.
        """
        self._node = node
        self._engine = engine
        self._streams = {stream.name: stream for stream in streams}
        self._mailbox = mailbox
        self._transforms = transforms
        self._throttles = {stream.name: Throttle() for stream in streams}
        self._thread = threading.Thread(target=self._run, name="centernet_worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the images in work and end the thread."""
        self._mailbox.close()
        self._thread.join(STOP_TIMEOUT if self._node.context.ok() else SHUT_DOWN_TIMEOUT)

    @torch.inference_mode()  # which spares every small step of decoding a few microseconds
    def _run(self) -> None:
        while (arrivals := self._mailbox.take()) is not None:
            parameters = self._node.parameters
            for batch in batches(self._open(arrivals, parameters)):
                with self._guard(*(frame.stream for frame in batch)):
                    self._detect(batch, parameters)
            if not self._node.context.ok():
                return

    def _open(self, arrivals: Mapping[str, Arrival], parameters: NodeParameters) -> list[Frame]:
        """The images that are wanted, fresh and usable."""
        frames = []
        for name, arrival in arrivals.items():
            stream = self._streams[name]
            with self._guard(stream):
                if not self._node.enabled or not stream.outputs.wanted:
                    stream.counts.idle += 1
                elif self._is_stale(stream, arrival, parameters.max_age):
                    stream.counts.stale += 1
                else:
                    frames.append(open_frame(stream, arrival, self._engine.preset, parameters))
        return frames

    def _is_stale(self, stream: Stream, arrival: Arrival, max_age: float) -> bool:
        """Whether an image is older than allowed by its stamp and the node's clock."""
        age = (self._node.get_clock().now().nanoseconds - arrival.stamp) / 1e9
        if max_age == 0 or age <= max_age:
            return False
        # No figures in the text: it is throttled by what it says.
        self._warn(stream, f"images on {stream.topic} are older than max_age {max_age:g} s")
        return True

    def _detect(self, batch: Sequence[Frame], parameters: NodeParameters) -> None:
        """Results of images of one input size, published camera by camera."""
        images, views = [frame.image for frame in batch], [frame.view for frame in batch]
        # What is published is selected afterwards, out of no fewer peaks than the network's own
        # number: some may be of classes that are left out.
        engine = self._engine
        engine.max_detections = max(parameters.max_detections, engine.preset.max_detections)
        results, times = engine.detect(images, views)
        done = time.monotonic()
        for frame, result in zip(batch, results, strict=True):
            with self._guard(frame.stream):
                self._publish(frame, result, parameters)
                frame.stream.counts.processed += 1
                frame.stream.add_timing(self._timing(frame, times, done))

    def _publish(self, frame: Frame, raw: Detections2D, parameters: NodeParameters) -> None:
        """Send the results of one image, and draw them if anyone looks."""
        stream, header = frame.stream, frame.arrival.message.header
        results = finish(frame, raw, self._engine.preset.class_names, parameters)
        ids = stream.identify(results, frame.arrival.stamp, parameters)
        stream.problem, transform = frame.geometry.problem, None
        if not stream.problem and self._transforms is not None and stream.outputs.move_wanted:
            try:
                transform = self._transforms.to_target(header)
            except TransformError as error:
                stream.problem = str(error)
        if stream.problem:
            stream.counts.unplaced += 1
            results = flat(results)
            what = "no 3D boxes for" if stream.outputs.in_space else "cannot rectify images of"
            self._warn(stream, f"{what} {stream.topic}: {stream.problem}")
        stream.outputs.publish_results(in_camera_pixels(frame, results), header, ids, transform)
        if parameters.draw and stream.outputs.drawing_wanted:
            camera = frame.geometry.camera
            stream.outputs.publish_drawing(
                frame.image, results, camera, header, birdseye=parameters.birdseye
            )

    def _timing(self, frame: Frame, times: StageTimes, done: float) -> Timing:
        """Where the time of an image went.

        Args:
            frame: the image.
            times: of its batch in the network's stages.
            done: time of `time.monotonic` after these stages.
        """
        arrival, counts = frame.arrival, frame.stream.counts
        preprocess = frame.seconds + times.prepare
        passed = done - arrival.monotonic_time
        return Timing(
            header=arrival.message.header,
            received=(arrival.clock_time - arrival.stamp) / 1e9,
            # All that is not work on this very image, also waiting for the others of its batch.
            queued=passed - preprocess - times.network - times.decode,
            preprocess=preprocess,
            network=times.network,
            decode=times.decode,
            publish=time.monotonic() - done,
            total=(self._node.get_clock().now().nanoseconds - arrival.stamp) / 1e9,
            frames_received=counts.received,
            frames_processed=counts.processed,
            frames_dropped=counts.dropped,
        )

    @contextmanager
    def _guard(self, *streams: Stream) -> Iterator[None]:
        """Turn errors into rejected images: the node lives on, the next image may be a good one."""
        try:
            yield
        except ImageError as error:
            for stream in streams:
                self._reject(stream, f"is unusable: {error}")
        except Exception as error:
            if self._node.context.ok():  # else ROS was shut down while the image was in work
                for stream in streams:
                    details = traceback.format_exc().rstrip()
                    self._reject(stream, f"failed: {error}", details)

    def _reject(self, stream: Stream, reason: str, details: str = "") -> None:
        stream.counts.rejected += 1
        stream.rejection = reason
        count = f" ({stream.counts.rejected} such images so far)"
        if self._warn(stream, f"image on {stream.topic} {reason}", count) and details:
            self._node.get_logger().error(details)

    def _warn(self, stream: Stream, text: str, addition: str = "") -> bool:
        """Log a warning, unless there were enough of its kind; gives whether it was logged."""
        allowed = self._throttles[stream.name].allows(text)
        if allowed:
            self._node.get_logger().warning(text + addition)
        return allowed


def batches(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames that the network can take at once: images of different sizes may differ on it."""
    groups: dict[Any, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.view.input_size, []).append(frame)
    return list(groups.values())


class Throttle:
    """Keeps a log readable when every image brings a warning."""

    PERIOD = 1.0
    """Seconds between any two warnings."""
    REPEAT_PERIOD = 10.0
    """Seconds between two warnings of the same text."""

    def __init__(self) -> None:
        self._last_text = ""
        self._last_time = float("-inf")

    def allows(self, text: str) -> bool:
        """Whether a text may be logged now; if so, it counts as logged."""
        now = time.monotonic()
        period = self.REPEAT_PERIOD if text == self._last_text else self.PERIOD
        if now < self._last_time + period:
            return False
        self._last_text, self._last_time = text, now
        return True
