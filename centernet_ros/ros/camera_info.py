"""A camera as the message that describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

if TYPE_CHECKING:  # PyTorch takes seconds to load, and replaying a bag does without
    from centernet_ros.structures import CameraIntrinsics


def to_camera_info(camera: CameraIntrinsics, frame_id: str) -> CameraInfo:
    """The description of a rectified camera in a frame, without a stamp."""
    height, width = camera.image_size
    projection = camera.projection.tolist()
    return CameraInfo(
        header=Header(frame_id=frame_id),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[value for row in projection for value in row[:3]],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[value for row in projection for value in row],
    )
