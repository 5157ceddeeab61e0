"""Small sources on disk, and small real networks."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import ModelPreset

TYPES = get_typestore(Stores.ROS2_JAZZY)
FIRST_STAMP = 1317013200_000000000
SIZE = 48, 96
"""Height and width of all images."""
FOCAL = 100.0
CLASSES = {
    "detection2d": ("pedestrian", "car", "cyclist"),
    "detection3d": ("pedestrian", "car", "cyclist"),
    "pose": ("person",),
}


def picture(value):
    """An image that tells its number and its left from its right."""
    image = np.full((*SIZE, 3), value, np.uint8)
    image[:, : SIZE[1] // 2, 0] = 255
    return image


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A weights file of each task: a ResNet-18 with random weights, for an input of 64x128."""
    folder = tmp_path_factory.mktemp("weights")

    def make(task):
        path = folder / f"{task}.safetensors"
        if not path.exists():
            torch.manual_seed(0)
            model = build_model("resnet18", task, len(CLASSES[task])).eval()
            preset = ModelPreset(task, "resnet18", CLASSES[task], (64, 128), max_detections=20)
            save_checkpoint(path, model, preset, dtype=torch.float16)
        return path

    return make


@pytest.fixture
def folder(tmp_path):
    """A folder of three images whose names are numbers."""
    path = tmp_path / "photos"
    path.mkdir()
    for number, suffix in ((139, ".png"), (285, ".jpg"), (632, ".bmp")):
        assert cv2.imwrite(str(path / f"{number:012d}{suffix}"), picture(number % 200))
    (path / "notes.txt").write_text("no image")
    return path


@pytest.fixture
def video(tmp_path):
    """A video of five images, ten a second."""
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, SIZE[::-1])
    for number in range(5):
        writer.write(picture(40 * number))
    writer.release()
    return path


def projection(focal=FOCAL):
    return [focal, 0, SIZE[1] / 2, 4.5, 0, focal, SIZE[0] / 2, 0.2, 0, 0, 1, 0.003]


@pytest.fixture
def kitti(tmp_path):
    """A folder of KITTI's form with two images, each with a focal length of its own."""
    root = tmp_path / "training"
    for name in ("image_2", "calib"):
        (root / name).mkdir(parents=True)
    for number in (3, 7):
        assert cv2.imwrite(str(root / f"image_2/{number:06d}.png"), picture(number))
        numbers = " ".join(f"{value:.6e}" for value in projection(FOCAL + number))
        (root / f"calib/{number:06d}.txt").write_text(f"P0: {numbers}\nP2: {numbers}\n")
    return root


CAMERA_YAML = """\
image_width: 96
image_height: 48
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [100.0, 0.0, 48.0, 0.0, 100.0, 24.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [{k1}, 0.0, 0.0, 0.0, 0.0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [90.0, 0.0, 47.0, 0.0, 0.0, 91.0, 23.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""


@pytest.fixture
def camera_yaml(tmp_path):
    """A calibration as ROS's camera_calibration writes it."""

    def write(k1=0.0, **replaced):
        text = CAMERA_YAML.format(k1=k1)
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "camera.yaml"
        path.write_text(text)
        return path

    return write


def _header(stamp):
    time = TYPES.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return TYPES.types["std_msgs/msg/Header"](stamp=time, frame_id="camera")


def _image(kind, stamp, value):
    pixels = picture(value)
    if kind == "CompressedImage":
        data = cv2.imencode(".png", pixels)[1].ravel()
        return TYPES.types["sensor_msgs/msg/CompressedImage"](
            header=_header(stamp), format="png", data=data
        )
    return TYPES.types["sensor_msgs/msg/Image"](
        header=_header(stamp),
        height=SIZE[0],
        width=SIZE[1],
        encoding="rgb8",
        is_bigendian=0,
        step=3 * SIZE[1],
        data=np.ascontiguousarray(pixels[..., ::-1]).ravel(),
    )


def _info(stamp, focal):
    roi = TYPES.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    matrix = [focal, 0, SIZE[1] / 2, 0, focal, SIZE[0] / 2, 0, 0, 1]
    return TYPES.types["sensor_msgs/msg/CameraInfo"](
        header=_header(stamp),
        height=SIZE[0],
        width=SIZE[1],
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array(matrix, np.float64),
        r=np.eye(3).ravel(),
        p=np.array(projection(focal) if focal else [0] * 12, np.float64),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


@pytest.fixture
def write_bag(tmp_path):
    """Writes a bag of images, ten a second, and of the focal lengths in CameraInfo.

    `focals` maps numbers of images to the focal length that is told from then on; `broken` are
    numbers of images that hold no valid data.
    """

    def write(kind="Image", count=4, storage="sqlite3", focals=None, broken=(), topic="/cam/image"):
        path = tmp_path / f"bag_{storage}"
        plugin = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}[storage]
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            images = writer.add_connection(topic, f"sensor_msgs/msg/{kind}", typestore=TYPES)
            infos = focals is not None and writer.add_connection(
                "/cam/camera_info", "sensor_msgs/msg/CameraInfo", typestore=TYPES
            )
            for number in range(count):
                stamp = FIRST_STAMP + number * 10**8
                data = TYPES.serialize_cdr(_image(kind, stamp, 10 * number), images.msgtype)
                writer.write(images, stamp, b"\0" if number in broken else data)
                if focals is not None and number in focals:
                    message = _info(stamp, focals[number])
                    writer.write(infos, stamp, TYPES.serialize_cdr(message, infos.msgtype))
        return path

    return write


@pytest.fixture
def detect(tmp_path, capsys):
    """Runs the command; gives its exit status, its output and its folder."""
    from centernet_ros.detect.__main__ import main

    def run(*arguments):
        output = tmp_path / "out"
        status = main(["--device", "cpu", "--output", str(output), *map(str, arguments)])
        captured = capsys.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err, folder=output)

    return run
