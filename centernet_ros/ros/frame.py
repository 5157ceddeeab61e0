"""One image on its way: from a message to the network's view of it, and its results back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

from centernet_ros.image import Image, check, view_of
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.calibration import Geometry
from centernet_ros.ros.engine import stand_in_camera
from centernet_ros.ros.images import to_bgr
from centernet_ros.ros.pairing import Arrival
from centernet_ros.ros.parameters import NodeParameters
from centernet_ros.ros.selection import least_scores, select
from centernet_ros.ros.stream import Stream
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, View


@dataclass(frozen=True)
class Frame:
    """An image that the network can take.

    Attributes:
        stream: where it came from and where its results go.
        arrival: its message.
        image: what the network sees: the camera's image, rectified if that was asked for.
        geometry: how it lies in space.
        view: how it lies on the network's input; with a stand-in camera where it has none.
        seconds: what it took to get here from the message.
    """

    stream: Stream
    arrival: Arrival
    image: Image
    geometry: Geometry
    view: View
    seconds: float


def open_frame(
    stream: Stream, arrival: Arrival, preset: ModelPreset, parameters: NodeParameters
) -> Frame:
    """Decode an image and find out how it lies in space.

    Raises:
        ImageError: The message holds no usable image.
    """
    start = time.monotonic()
    image = to_bgr(arrival.message)
    size = check(image)
    geometry = Geometry()
    if stream.calibrator is not None:
        geometry = stream.calibrator.geometry_of(
            arrival.info, arrival.message.header, size, rescale=parameters.rescale_calibration
        )
    if geometry.rectification is not None:
        image = geometry.rectification.apply(image)
    view = _view_of(size, preset, geometry.camera)
    return Frame(stream, arrival, image, geometry, view, time.monotonic() - start)


@lru_cache(maxsize=64)
def _view_of(size: tuple[int, int], preset: ModelPreset, camera: CameraIntrinsics | None) -> View:
    """The same view for all images that one camera takes in the same way."""
    return view_of(size, preset, camera or stand_in_camera(size))


def finish(
    frame: Frame, raw: Detections2D, class_names: tuple[str, ...], parameters: NodeParameters
) -> Detections2D:
    """What of the network's results is published, in pixels of the frame's image.

    Args:
        frame: the image.
        raw: results of the network.
        class_names: of the network.
        parameters: of the moment.
    """
    least = least_scores(
        class_names, parameters.score_threshold, parameters.class_thresholds, parameters.classes
    )
    results = flat(raw) if frame.geometry.camera is None else raw
    return select(results, least, parameters.max_detections)


def flat(results: Detections2D) -> Detections2D:
    """Results without their place in space."""
    if isinstance(results, Detections3D):
        return Detections2D(results.boxes, results.scores, results.labels)
    return results


def in_camera_pixels(frame: Frame, results: Detections2D) -> Detections2D:
    """Results of `finish` in pixels of the camera's own image."""
    if frame.geometry.rectification is None:
        return results
    return frame.geometry.rectification.results_to_raw(results)
