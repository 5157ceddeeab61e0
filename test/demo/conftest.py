import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS is not set up")

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

TYPES = get_typestore(Stores.ROS2_JAZZY)
FIRST_STAMP = 1317013200_000000000
FRAME_ID = "bag_camera_optical_frame"


def header(stamp):
    time = TYPES.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return TYPES.types["std_msgs/msg/Header"](stamp=time, frame_id=FRAME_ID)


def image(stamp, value, kind):
    pixels = np.full((48, 96, 3), value, np.uint8)
    pixels[:, :48, 0] = 255
    if kind == "CompressedImage":
        data = cv2.imencode(".png", pixels)[1].ravel()
        return TYPES.types["sensor_msgs/msg/CompressedImage"](
            header=header(stamp), format="png", data=data
        )
    return TYPES.types["sensor_msgs/msg/Image"](
        header=header(stamp),
        height=48,
        width=96,
        encoding="bgr8",
        is_bigendian=0,
        step=288,
        data=pixels.ravel(),
    )


def camera_info(stamp):
    matrix = np.array([100, 0, 48, 0, 100, 24, 0, 0, 1], np.float64)
    region = TYPES.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return TYPES.types["sensor_msgs/msg/CameraInfo"](
        header=header(stamp),
        height=48,
        width=96,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix,
        r=np.eye(3).ravel(),
        p=np.array([100, 0, 48, 0, 0, 100, 24, 0, 0, 0, 1, 0], np.float64),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


@pytest.fixture
def write_bag(tmp_path):
    """Writes a bag of topics: {name: (kind, count)}; `broken` messages hold no valid data."""

    def write(topics, storage="sqlite3", rate=10.0, broken=(), name="bag", first=FIRST_STAMP):
        path = tmp_path / name
        plugin = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}[storage]
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            entries = []
            for topic, (kind, count) in topics.items():
                msgtype = kind if "/" in kind else f"sensor_msgs/msg/{kind}"
                connection = writer.add_connection(topic, msgtype, typestore=TYPES)
                entries += [(i, connection, kind) for i in range(count)]
            for i, connection, kind in sorted(entries, key=lambda entry: entry[0]):
                stamp = first + int(i * 1e9 / rate)
                if kind == "CameraInfo":
                    message = camera_info(stamp)
                elif kind == "std_msgs/msg/String":
                    message = TYPES.types[kind](data="hello")
                else:
                    message = image(stamp, 10 * i % 250, kind)
                data = TYPES.serialize_cdr(message, connection.msgtype)
                # The recorder of a bag hears a message a little later than it was stamped.
                writer.write(connection, stamp + 5_000_000, b"\0" if i in broken else data)
        return path

    return write
