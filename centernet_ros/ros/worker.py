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
from centernet_ros.ros.throttle import Throttle
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
        """Finish the images in work and end the thread.

        Raises:
            TimeoutError: It did not end in time; may be tried again.
        """
        self._mailbox.close()
        patience = STOP_TIMEOUT if self._node.context.ok() else SHUT_DOWN_TIMEOUT
        self._thread.join(patience)
        if self._thread.is_alive():
            raise TimeoutError(f"the images in work are not done after {patience:g} s")

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
        self._warn(stream, f"images on {stream.topic} are older than max_age {max_age:g} s")
        return True

    def _detect(self, batch: Sequence[Frame], parameters: NodeParameters) -> None:
        """Results of images of one input size, published camera by camera, then drawn."""
        images, views = [frame.image for frame in batch], [frame.view for frame in batch]
        # What is published is selected afterwards, out of no fewer peaks than the network's own
        # number: some may be of classes that are left out.
        engine = self._engine
        engine.max_detections = max(parameters.max_detections, engine.preset.max_detections)
        engine.training_focal_length = parameters.training_focal_length
        answers, times = engine.detect(images, views)
        published = []
        for frame, raw in zip(batch, answers, strict=True):
            with self._guard(frame.stream):
                begun = time.monotonic()
                published.append((frame, self._publish(frame, raw, parameters)))
                frame.stream.counts.processed += 1
                frame.stream.add_timing(self._timing(frame, times, begun))
        # A drawing takes its time: the results of the batch's other cameras do not wait for it.
        for frame, results in published:
            if parameters.draw and frame.stream.outputs.drawing_wanted:
                self._draw(frame, results, birdseye=parameters.birdseye)

    def _publish(self, frame: Frame, raw: Detections2D, parameters: NodeParameters) -> Detections2D:
        """Send the results of one image; gives them in pixels of the frame's image."""
        stream, header = frame.stream, frame.arrival.message.header
        results = finish(frame, raw, self._engine.preset.class_names, parameters)
        ids = stream.identify(results, frame.arrival.stamp, parameters)
        transform, stream.problem = self._place(frame, parameters)
        if stream.problem:
            self._count_unplaced(stream)
            results = flat(results)
        stream.outputs.publish_results(in_camera_pixels(frame, results), header, ids, transform)
        return results

    def _place(self, frame: Frame, parameters: NodeParameters) -> tuple[Any, str]:
        """The transform of places in space, None where none is wanted; and why there are none."""
        transforms, problem = self._transforms, frame.geometry.problem
        if problem or transforms is None or not frame.stream.outputs.move_wanted:
            return None, problem
        try:
            header = frame.arrival.message.header
            return transforms.to_target(header, parameters.transform_timeout), ""
        except TransformError as error:
            return None, str(error)

    def _count_unplaced(self, stream: Stream) -> None:
        """Count an image whose camera is not known well enough, and say so."""
        what = "cannot rectify images of"
        if stream.outputs.in_space:
            stream.counts.unplaced += 1
            what = "no 3D boxes for"
        self._warn(stream, f"{what} {stream.topic}: {stream.problem}")

    def _draw(self, frame: Frame, results: Detections2D, *, birdseye: bool) -> None:
        """Send the image with its results drawn on it."""
        header, camera = frame.arrival.message.header, frame.geometry.camera
        try:
            frame.stream.outputs.publish_drawing(
                frame.image, results, camera, header, birdseye=birdseye
            )
        except Exception as error:  # its results were sent: the image is not a rejected one
            if self._node.context.ok():
                details = traceback.format_exc().rstrip()
                self._complain(frame.stream, f"cannot be drawn: {error}", details)

    def _timing(self, frame: Frame, times: StageTimes, begun: float) -> Timing:
        """Where the time of an image went.

        Args:
            frame: the image.
            times: of its batch in the network's stages.
            begun: time of `time.monotonic` when its results were taken up after these stages.
        """
        arrival, counts = frame.arrival, frame.stream.counts
        preprocess = frame.seconds + times.prepare
        passed = begun - arrival.monotonic_time
        return Timing(
            header=arrival.message.header,
            received=(arrival.clock_time - arrival.stamp) / 1e9,
            # All that is not work on this very image, also waiting for the others of its batch.
            queued=passed - preprocess - times.network - times.decode,
            preprocess=preprocess,
            network=times.network,
            decode=times.decode,
            publish=time.monotonic() - begun,
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
        count = stream.counts.rejected
        self._complain(stream, f"{reason} ({count} such images so far)", details)

    def _complain(self, stream: Stream, reason: str, details: str) -> None:
        if self._warn(stream, f"image on {stream.topic} {reason}") and details:
            self._node.get_logger().error(details)

    def _warn(self, stream: Stream, text: str) -> bool:
        """Log a warning, unless there were enough of its kind; gives whether it was logged."""
        allowed = self._throttles[stream.name].allows(text)
        if allowed:
            self._node.get_logger().warning(text)
        return allowed


def batches(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames that the network can take at once: images of different sizes may differ on it."""
    groups: dict[Any, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(frame.view.input_size, []).append(frame)
    return list(groups.values())
