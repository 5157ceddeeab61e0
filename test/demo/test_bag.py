import sqlite3
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from centernet_ros.bag import SourceError
from centernet_ros.stamps import to_nanoseconds
from demo.__main__ import main
from demo.bag import BagSource

FIRST_STAMP = 1317013200_000000000
FRAME_ID = "bag_camera_optical_frame"
SHARED = Path(__file__).parents[2].parent / "shared/data/rosbag"

CAMERA = {"/cam/image_raw": ("Image", 4), "/cam/camera_info": ("CameraInfo", 4)}
JPEGS = {"/cam/image_raw/compressed": ("CompressedImage", 4), "/cam/camera_info": ("CameraInfo", 4)}


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
@pytest.mark.parametrize(("topics", "kind"), [(CAMERA, Image), (JPEGS, CompressedImage)])
def test_plays_the_recorded_messages_at_their_own_rate(write_bag, storage, topics, kind):
    source = BagSource(write_bag(topics, storage, rate=20.0))
    items = list(source.items())
    images = [item for item in items if item.is_image]
    assert source.num_images == len(images) == 4
    assert source.rate == pytest.approx(20, rel=1e-6)
    assert source.compressed == (kind is CompressedImage)
    assert [item.offset for item in images] == pytest.approx([0, 0.05, 0.1, 0.15])
    for i, item in enumerate(images):
        assert isinstance(item.message, kind)
        assert to_nanoseconds(item.message.header.stamp) == FIRST_STAMP + i * 50_000_000
        assert item.message.header.frame_id == FRAME_ID
    infos = [item.message for item in items if isinstance(item.message, CameraInfo)]
    assert [info.k[0] for info in infos] == [100.0] * 4
    for i, pixels in enumerate(source.images()):
        expected = np.full((48, 96, 3), 10 * i, np.uint8)
        expected[:, :48, 0] = 255
        assert np.array_equal(pixels, expected)


def test_part_of_a_bag(write_bag):
    source = BagSource(write_bag(CAMERA), seconds=0.25)
    assert source.num_images == sum(item.is_image for item in source.items()) == 3


def test_one_camera_of_several_with_its_own_description(write_bag):
    topics = {
        "/left/image": ("Image", 2),
        "/right/image": ("Image", 3),
        "/left/camera_info": ("CameraInfo", 2),
    }
    path = write_bag(topics)
    left, right = BagSource(path), BagSource(path, "/right/image")
    assert left.topic == "/left/image"
    assert "other image topics: /right/image" in left.description
    assert [item.is_image for item in left.items()].count(False) == 2
    # The description of another camera would make wrong 3D boxes.
    assert [item.is_image for item in right.items()] == [True] * 3
    assert "no CameraInfo" in right.description
    assert right.camera is None
    assert left.camera.image_size == (48, 96)
    assert left.camera.projection.flatten().tolist() == [100, 0, 48, 0, 0, 100, 24, 0, 0, 0, 1, 0]


def no_folder(write_bag, tmp_path):
    return tmp_path / "nothing", "does not exist"


def a_file(write_bag, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    return path, "is a file: a rosbag2 folder with a metadata.yaml is needed"


def no_metadata(write_bag, tmp_path):
    path = write_bag(CAMERA)
    (path / "metadata.yaml").unlink()
    return path, "has no metadata.yaml"


def foreign_metadata(write_bag, tmp_path):
    path = write_bag(CAMERA)
    (path / "metadata.yaml").write_text("hello: world\n")
    return path, "cannot be read"


def no_storage(write_bag, tmp_path):
    path = write_bag(CAMERA)
    next(path.glob("*.db3")).unlink()
    return path, "cannot be read"


def damaged_storage(write_bag, tmp_path):
    path = write_bag(CAMERA)
    file = next(path.glob("*.db3"))
    file.write_bytes(file.read_bytes()[:100] + b"rubbish" * 1000)
    return path, "cannot be read"


def truncated_mcap(write_bag, tmp_path):
    path = write_bag(CAMERA, "mcap")
    file = next(path.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:20_000])
    return path, "cannot be read"


def no_image_topic(write_bag, tmp_path):
    path = write_bag({"/chat": ("std_msgs/msg/String", 1), "/cam/camera_info": ("CameraInfo", 1)})
    return path, (
        "has no image topic; it has /chat (std_msgs/msg/String), "
        "/cam/camera_info (sensor_msgs/msg/CameraInfo)"
    )


def an_empty_topic(write_bag, tmp_path):
    return write_bag({"/cam/image": ("Image", 0)}), "topic /cam/image holds no message"


def an_unreadable_message(write_bag, tmp_path):
    return write_bag(CAMERA, broken=[0]), "is unreadable as sensor_msgs/msg/Image"


@pytest.mark.parametrize(
    "case",
    [
        no_folder,
        a_file,
        no_metadata,
        foreign_metadata,
        no_storage,
        damaged_storage,
        truncated_mcap,
        no_image_topic,
        an_empty_topic,
        an_unreadable_message,
    ],
)
def test_a_bad_bag_gives_one_line_with_its_path_and_status_2(case, write_bag, tmp_path, capsys):
    path, reason = case(write_bag, tmp_path)
    assert main(["--bag", str(path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert reason in line


def test_a_topic_that_is_not_there_is_answered_with_those_that_are(write_bag):
    with pytest.raises(
        SourceError, match=r"no image topic /cam/camera_info; it has /cam/image_raw"
    ):
        BagSource(write_bag(CAMERA), "/cam/camera_info")


def test_damage_further_on_is_reported_when_it_is_met(write_bag):
    source = BagSource(write_bag(CAMERA, broken=[2]))
    with pytest.raises(SourceError, match="is unreadable"):
        list(source.items())


def test_damage_of_the_database_further_on(write_bag):
    path = write_bag({"/cam/image": ("Image", 40)})
    source = BagSource(path)
    file = next(path.glob("*.db3"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=str(path)):
        list(source.items())


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not on this machine")
@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_a_real_drive(storage):
    source = BagSource(SHARED / f"kitti_2011_09_26_78f_{storage}")
    assert source.compressed
    assert source.num_images == 78
    assert source.rate == pytest.approx(10, rel=0.01)
    shapes = {None if image is None else image.shape for image in source.images()}
    assert len(shapes) == 1
    assert "camera_info" in source.description


def test_sqlite_errors_are_not_leaked(write_bag):
    path = write_bag(CAMERA)
    with sqlite3.connect(next(path.glob("*.db3"))) as database:
        database.execute("DROP TABLE messages")
    with pytest.raises(SourceError, match="cannot be read"):
        BagSource(path)
