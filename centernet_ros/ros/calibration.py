"""CameraInfo messages to what an image needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CameraInfo

from centernet_ros.calibration import (
    Calibration,
    CalibrationError,
    calibration_of,
    intrinsics_of,
)
from centernet_ros.rectification import Rectification
from centernet_ros.structures import CameraIntrinsics


@dataclass(frozen=True)
class Geometry:
    """How an image lies in space.

    Attributes:
        camera: intrinsics of the image that the network sees; None where there are none.
        rectification: turns the camera's image into that image; None where they are the same.
        problem: why there are no intrinsics, in one sentence.
    """

    camera: CameraIntrinsics | None = None
    rectification: Rectification | None = None
    problem: str = ""


class Calibrator:
    """Reads the camera_infos of one camera."""

    def __init__(self, topic: str, *, undistort: bool) -> None:
        """Nothing is read yet.

        Args:
            topic: of the camera_infos, for the sentence that says that none came.
            undistort: whether the images are raw ones of a distorting lens.
        """
        self._topic = topic
        self._undistort = undistort
        self._last: tuple[tuple[Calibration, tuple[int, int], bool], Geometry] | None = None

    def geometry_of(
        self, info: CameraInfo | None, header: Any, image_size: tuple[int, int], *, rescale: bool
    ) -> Geometry:
        """The geometry of an image; without intrinsics where they could be wrong.

        Args:
            info: the image's camera_info; None where none came.
            header: the image's.
            image_size: height, width of the image in pixels.
            rescale: see `intrinsics_of`.
        """
        try:
            if info is None:
                raise CalibrationError(f"no camera_info came on {self._topic}")
            frames = info.header.frame_id, header.frame_id
            if all(frames) and frames[0] != frames[1]:
                raise CalibrationError(
                    f"camera_info on {self._topic} is of frame {frames[0]!r}, the image of frame "
                    f"{frames[1]!r}: it seems to be another camera's"
                )
            key = calibration_of(info), image_size, rescale
            # That of the last image while nothing changes: the maps of a rectification are costly.
            if self._last is None or self._last[0] != key:
                self._last = key, self._build(*key)
            return self._last[1]
        except CalibrationError as error:
            return Geometry(problem=str(error))

    def _build(
        self, calibration: Calibration, image_size: tuple[int, int], rescale: bool
    ) -> Geometry:
        if not self._undistort:
            return Geometry(intrinsics_of(calibration, image_size, rescale=rescale))
        rectification = Rectification(calibration, image_size, rescale=rescale)
        return Geometry(rectification.camera, rectification)
