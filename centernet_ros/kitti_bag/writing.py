"""Frames of KITTI to the messages of a bag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from tqdm import tqdm

from centernet_ros.bag import COMPRESSED, IMAGE, INFO, TYPES, SourceError
from centernet_ros.calibration import IDENTITY, calibration_of, intrinsics_of
from centernet_ros.encodings import ImageError, file_to_bgr
from centernet_ros.image import Image
from centernet_ros.kitti import read_projection
from centernet_ros.kitti_bag.folder import KittiFrame
from centernet_ros.kitti_bag.frames import stamp_of, write_names
from centernet_ros.kitti_bag.mounting import CAMERA, Mount, mounts_of
from centernet_ros.stamps import NANOSECONDS

IMAGE_TOPIC = "/camera/image"
COMPRESSED_TOPIC = f"{IMAGE_TOPIC}/compressed"
INFO_TOPIC = "/camera/camera_info"
TF_TOPIC, TF = "/tf_static", "tf2_msgs/msg/TFMessage"

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}

FILE_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""Files whose own bytes a bag may hold, and what image_transport calls their kinds."""

VERSION = 8
"""Of the metadata: the newest form that distributions before Jazzy read, too."""

AHEAD = 1_000_000
"""Nanoseconds by which a frame's calibration was received before the image, so that it is there."""

_FOREVER = QosTime(9223372036, 854775807)


def _qos(depth: int, durability: QosDurability) -> list[Qos]:
    """Reliable; `ros2 bag play` offers what the bag says."""
    limits = (QosReliability.RELIABLE, durability, _FOREVER, _FOREVER)
    return [
        Qos(QosHistory.KEEP_LAST, depth, *limits, QosLiveliness.AUTOMATIC, _FOREVER, False),
    ]


def write_bag(
    out: Path,
    frames: Sequence[KittiFrame],
    *,
    rate: float,
    storage: str = "mcap",
    compressed: bool = False,
    transforms: bool = True,
) -> None:
    """Write a bag of images, their camera_info of the same stamps, and TF.

    Args:
        out: folder, which must not exist.
        frames: in the order of their stamps.
        rate: frames a second.
        storage: key of `STORAGES`.
        compressed: write the bytes of the image files, not their pixels.
        transforms: write where the camera is on the car.

    Raises:
        SourceError: A file cannot be used; the message names it, and the bag is not complete.
    """
    if compressed:
        _check_kinds(frames)
    topic, kind = (COMPRESSED_TOPIC, COMPRESSED) if compressed else (IMAGE_TOPIC, IMAGE)
    usual, latched = _qos(10, QosDurability.VOLATILE), _qos(1, QosDurability.TRANSIENT_LOCAL)
    with Writer(out, version=VERSION, storage_plugin=STORAGES[storage]) as writer:

        def add(name: str, message_type: str, qos: list[Qos]) -> Any:
            return writer.add_connection(
                name, message_type, typestore=TYPES, offered_qos_profiles=qos
            )

        images, infos = add(topic, kind, usual), add(INFO_TOPIC, INFO, usual)
        statics = add(TF_TOPIC, TF, latched) if transforms else None
        mounts: tuple[Mount, ...] = ()
        for index, frame in enumerate(tqdm(frames, unit=" frames", disable=None)):
            stamp = stamp_of(index, rate)
            data, pixels = _read_image(frame.image)
            text = _read_text(frame.calib)
            if statics is not None and (found := _mounts(frame.calib, text)) != mounts:
                # Drives of other days have another calibration: TF keeps the newest.
                mounts = found
                writer.write(statics, stamp - AHEAD, _serialised(_transforms(mounts, stamp), TF))
            info = _camera_info(frame.calib, text, pixels, stamp)
            writer.write(infos, stamp - AHEAD, _serialised(info, INFO))
            image = (
                _file_message(frame.image, data, stamp)
                if compressed
                else _image_message(pixels, stamp)
            )
            writer.write(images, stamp, _serialised(image, kind))
    write_names(out, [frame.name for frame in frames], rate)


def _check_kinds(frames: Sequence[KittiFrame]) -> None:
    """Refuse files of which a CompressedImage is not made.

    Raises:
        SourceError: There is one.
    """
    for path in (frame.image for frame in frames):
        if path.suffix.lower() not in FILE_KINDS:
            raise SourceError(
                f"image {path}: --compressed takes {', '.join(FILE_KINDS)} only: leave it out"
            )


def _read_image(path: Path) -> tuple[NDArray[np.uint8], Image]:
    """All bytes of an image file, and its pixels.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        data = np.fromfile(path, np.uint8)
        return data, file_to_bgr(data, path.name)
    except (OSError, ImageError) as error:
        raise SourceError(f"image {path} cannot be used: {error}") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"calibration {path} cannot be read: {error}") from None


def _mounts(path: Path, text: str) -> tuple[Mount, ...]:
    try:
        return mounts_of(text)
    except ValueError as error:
        raise SourceError(f"calibration {path}: {error} (--no-tf does without)") from None


def _camera_info(path: Path, text: str, pixels: Image, stamp: int) -> Any:
    """The rectified camera of an image; the baseline to the reference camera stays in P.

    Raises:
        SourceError: The file tells of no usable camera.
    """
    try:
        projection = read_projection(text).numpy()
        height, width = pixels.shape[:2]
        info = TYPES.types[INFO](
            header=_header(stamp),
            height=height,
            width=width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=projection[:, :3].ravel(),
            r=np.array(IDENTITY),
            p=projection.ravel(),
            binning_x=0,
            binning_y=0,
            roi=TYPES.types["sensor_msgs/msg/RegionOfInterest"](
                x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
            ),
        )
        intrinsics_of(calibration_of(info), (height, width))  # refuses what the node would refuse
    except ValueError as error:
        raise SourceError(f"calibration {path}: {error}") from None
    return info


def _image_message(pixels: Image, stamp: int) -> Any:
    height, width = pixels.shape[:2]
    return TYPES.types[IMAGE](
        header=_header(stamp),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=pixels.ravel(),
    )


def _file_message(path: Path, data: NDArray[np.uint8], stamp: int) -> Any:
    """`format` is what image_transport's compressed plug-in writes."""
    kind = FILE_KINDS[path.suffix.lower()]
    return TYPES.types[COMPRESSED](
        header=_header(stamp), format=f"bgr8; {kind} compressed bgr8", data=data
    )


def _transforms(mounts: Sequence[Mount], stamp: int) -> Any:
    make = TYPES.types
    return make[TF](
        transforms=[
            make["geometry_msgs/msg/TransformStamped"](
                header=_header(stamp, mount.parent),
                child_frame_id=mount.child,
                transform=make["geometry_msgs/msg/Transform"](
                    translation=make["geometry_msgs/msg/Vector3"](*mount.translation),
                    rotation=make["geometry_msgs/msg/Quaternion"](*mount.rotation),
                ),
            )
            for mount in mounts
        ]
    )


def _header(stamp: int, frame_id: str = CAMERA) -> Any:
    time = TYPES.types["builtin_interfaces/msg/Time"](
        sec=stamp // NANOSECONDS, nanosec=stamp % NANOSECONDS
    )
    return TYPES.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def _serialised(message: Any, kind: str) -> Any:
    return TYPES.serialize_cdr(message, kind)
