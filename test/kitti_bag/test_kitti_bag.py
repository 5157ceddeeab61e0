"""KITTI folders to bags, read back by those who play and look at bags."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import Reader

from centernet_ros.bag import TYPES, SourceError
from centernet_ros.detect.frames import Frame
from centernet_ros.detect.sources import open_source
from centernet_ros.kitti import read_matrix, read_projection
from centernet_ros.kitti_bag.__main__ import main
from centernet_ros.kitti_bag.folder import read_list
from centernet_ros.kitti_bag.frames import START, read_frames
from centernet_ros.kitti_bag.mounting import mounts_of
from training.data.lists import read_names


@pytest.fixture
def write(kitti, tmp_path):
    """Runs the command; gives the bag's folder."""

    def run(*options, name="bag", source=kitti, status=0):
        out = tmp_path / name
        assert main([str(source), str(out), *options]) == status
        return out

    return run


def messages(bag):
    """Topic to a list of the time of receipt and the message."""
    found = {}
    with Reader(bag) as reader:
        for connection, time, data in reader.messages():
            message = TYPES.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((time, message))
    return found


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_images_and_their_cameras(write, kitti, storage):
    bag = write("--storage", storage, "--rate", "4")
    (suffix,) = {path.suffix for path in bag.iterdir()} - {".txt", ".yaml"}
    assert suffix == {"mcap": ".mcap", "sqlite3": ".db3"}[storage]
    found = messages(bag)
    assert set(found) == {"/camera/image", "/camera/camera_info", "/tf_static"}
    images, infos = found["/camera/image"], found["/camera/camera_info"]
    expected = [START, START + 250_000_000, START + 500_000_000]
    assert [stamp(image) for _, image in images] == [time for time, _ in images] == expected
    assert [stamp(info) for _, info in infos] == expected
    # Players send a calibration before the image that needs it.
    assert all(info[0] < image[0] for info, image in zip(infos, images, strict=True))
    for (_, image), name in zip(images, ("000003.png", "000007.png", "000011.jpg"), strict=True):
        assert (image.encoding, image.header.frame_id) == ("bgr8", "camera_optical_frame")
        pixels = image.data.reshape(image.height, image.step // 3, 3)
        assert np.array_equal(pixels, cv2.imread(str(kitti / "image_2" / name)))
    _, info = infos[2]
    projection = read_projection((kitti / "calib/000011.txt").read_text()).numpy()
    assert np.array_equal(info.p.reshape(3, 4), projection)
    assert np.array_equal(info.k.reshape(3, 3), projection[:, :3])
    assert np.array_equal(info.r.reshape(3, 3), np.eye(3))
    assert (info.width, info.height, info.distortion_model) == (96, 48, "plumb_bob")
    assert not info.d.any()
    assert info.header.frame_id == "camera_optical_frame"


def test_the_files_own_bytes(write, kitti):
    found = messages(write("--compressed"))
    kinds = "png", "png", "jpeg"
    names = "000003.png", "000007.png", "000011.jpg"
    assert "/camera/image" not in found
    for (_, image), name, kind in zip(found["/camera/image/compressed"], names, kinds, strict=True):
        assert image.data.tobytes() == (kitti / "image_2" / name).read_bytes()
        assert image.format == f"bgr8; {kind} compressed bgr8"


def as_matrix(transform):
    """Points of the child (4,) to points of the parent, by nothing but the message's fields."""
    q, shift = transform.rotation, transform.translation
    x, y, z, w = q.x, q.y, q.z, q.w
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), shift.x],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), shift.y],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), shift.z],
            [0, 0, 0, 1],
        ]
    )


def test_the_laser_hits_the_same_pixels_by_tf_as_by_kitti(write, kitti):
    (first_time, first), (_, other) = messages(write())["/tf_static"]
    assert first_time < START
    # The third frame is of another drive.
    assert stamp(other.transforms[0]) == START + 200_000_000
    tree = [(t.header.frame_id, t.child_frame_id) for t in first.transforms]
    assert tree == [
        ("base_link", "velodyne"),
        ("velodyne", "camera_optical_frame"),
        ("camera_optical_frame", "camera_left_optical_frame"),
    ]
    base_to_velodyne, velodyne_to_camera, camera_to_left = (
        np.linalg.inv(as_matrix(t.transform)) for t in first.transforms
    )
    text = (kitti / "calib/000003.txt").read_text()
    points = np.array([[20.0, 3, 1, 1], [8, -4, -1.5, 1], [50, 0, 0, 1]]).T
    rectify, scanner, inertial = np.eye(4), np.eye(4), np.eye(4)
    rectify[:3, :3] = read_matrix(text, "R0_rect", 3)
    scanner[:3] = read_matrix(text, "Tr_velo_to_cam", 4)
    inertial[:3] = read_matrix(text, "Tr_imu_to_velo", 4)
    projection = read_projection(text).numpy()
    by_kitti = projection @ rectify @ scanner @ points
    by_tf = projection @ velodyne_to_camera @ points
    np.testing.assert_allclose(by_tf[:2] / by_tf[2], by_kitti[:2] / by_kitti[2], atol=1e-3)
    # The lens itself needs no baseline.
    by_lens = projection[:, :3] @ (camera_to_left @ velodyne_to_camera @ points)[:3]
    np.testing.assert_allclose(by_lens[:2] / by_lens[2], by_kitti[:2] / by_kitti[2], atol=1e-3)
    np.testing.assert_allclose(base_to_velodyne @ points, inertial @ points, atol=1e-5)


def test_tf_is_latched_and_the_camera_reliable(write):
    with Reader(write()) as reader:
        profiles = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    ((static,), (image,)) = profiles["/tf_static"], profiles["/camera/image"]
    assert (static.durability.name, static.reliability.name) == ("TRANSIENT_LOCAL", "RELIABLE")
    assert (image.durability.name, image.reliability.name) == ("VOLATILE", "RELIABLE")


def test_the_frames_come_back_with_their_cameras(write, kitti):
    bag = write("--rate", "3")
    frames = list(read_frames(bag).items())
    assert [frame.name for _, frame in frames] == ["000003", "000007", "000011"]
    assert [key for key, _ in frames] == [START, START + 333_333_333, START + 666_666_667]
    projection = read_projection((kitti / "calib/000011.txt").read_text())
    assert torch.equal(frames[2][1].camera.projection, projection)
    assert frames[2][1].camera.image_size == (48, 96)
    assert read_names(bag / "frames.txt") == ["000003", "000007", "000011"]


def test_a_bag_shows_what_its_folder_shows(write, kitti):
    of_folder = open_source([kitti], needs_camera=True)
    for options in ((), ("--compressed",)):
        of_bag = open_source([write(*options, name=f"bag{len(options)}")], needs_camera=True)
        for one, other in zip(of_folder.read(), of_bag.read(), strict=True):
            assert isinstance(one, Frame)
            assert isinstance(other, Frame)
            assert np.array_equal(one.image, other.image)
            assert torch.equal(one.camera.projection, other.camera.projection)


def test_frames_can_be_chosen(write, kitti, tmp_path):
    def names(*options, name):
        return [f.name for f in read_frames(write(*options, name=name)).values()]

    assert names("--frames", "000011", "000003", name="a") == ["000011", "000003"]
    (tmp_path / "list.txt").write_text("000007\n\n000003 -1\n")
    assert names("--split", str(tmp_path / "list.txt"), name="b") == ["000007", "000003"]
    (kitti.parent / "ImageSets").mkdir()
    (kitti.parent / "ImageSets/val.txt").write_text("000007\n")
    assert names("--split", "val", name="c") == ["000007"]
    # The data set's own folder does as well.
    bag = write("--split", "val", name="d", source=kitti.parent)
    assert [f.name for f in read_frames(bag).values()] == ["000007"]


def test_lists_lie_below_the_folder_or_beside_it(write, kitti):
    for name, text in (("training/some.txt", "000007\n"), ("other.txt", "000003\n")):
        (kitti.parent / name).write_text(text)
    for name, source, split in (
        ("a", kitti, "some.txt"),
        ("b", kitti.parent, "training/some.txt"),
        ("c", kitti, "other.txt"),
        ("d", kitti.parent, "other.txt"),
    ):
        (frame,) = read_frames(write("--split", split, name=name, source=source)).values()
        assert frame.name == {"some": "000007", "other": "000003"}[Path(split).stem]


def test_names_may_hold_blanks(write, kitti):
    for part, suffix in (("image_2", ".png"), ("calib", ".txt")):
        (kitti / part / f"000003{suffix}").rename(kitti / part / f"at night 3{suffix}")
    bag = write("--frames", "at night 3", "000007")
    assert [frame.name for frame in read_frames(bag).values()] == ["at night 3", "000007"]
    # The list of a bag is one for the evaluation, and for another bag.
    assert read_names(bag / "frames.txt") == ["at night 3", "000007"]
    again = write("--split", str(bag / "frames.txt"), name="again")
    assert (again / "frames.txt").read_text() == (bag / "frames.txt").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "000003\n\n  000007  \n",
        "a cat -1\na dog 1\n",
        "a 1316995200000000000\n2 dogs\n3 cats 7\n",
        "\ufeff1\n0\n",
    ],
)
def test_lists_are_read_as_the_evaluation_does(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    assert read_list(path) == read_names(path)


def test_other_kinds_of_images_go_in_raw(write, kitti, capsys):
    image = cv2.imread(str(kitti / "image_2/000007.png"))
    (kitti / "image_2/000007.png").unlink()
    assert cv2.imwrite(str(kitti / "image_2/000007.TIFF"), image)
    # Beside a PNG of the same name it is not taken, as in training.
    assert cv2.imwrite(str(kitti / "image_2/000003.tiff"), image)
    raw = [message for _, message in messages(write())["/camera/image"]]
    assert len(raw) == 3
    assert np.array_equal(raw[1].data.reshape(image.shape), image)
    assert not np.array_equal(raw[0].data.reshape(image.shape), image)
    assert not write("--compressed", name="other", status=2).exists()
    assert "000007.TIFF: --compressed takes .png, .jpg, .jpeg only" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["fast", "0", "nan"])
def test_a_rate_is_a_number(write, capsys, rate):
    with pytest.raises(SystemExit, match="2"):
        write("--rate", rate)
    assert f"--rate: {rate} is not between 0.001 and 1000" in capsys.readouterr().err


def test_without_transforms_p2_is_enough(write, kitti):
    for path in (kitti / "calib").iterdir():
        path.write_text("P2: 100 0 48 4.5 0 100 24 0.2 0 0 1 0.003\n")
    assert "/tf_static" not in messages(write("--no-tf"))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


CASES = {
    "an image is missing": (
        lambda k: (k / "calib/000099.txt").write_text("") or (k / "image_2/000007.png").unlink(),
        ("--frames", "000003", "000007"),
        "image_2/000007.png does not exist (1 files are missing)",
    ),
    "a calibration is missing": (
        lambda k: (k / "calib/000011.txt").unlink(),
        (),
        "calib/000011.txt does not exist",
    ),
    "an image is broken": (
        lambda k: (k / "image_2/000007.png").write_bytes(b"no picture"),
        (),
        "image_2/000007.png cannot be used: its 10 bytes of 000007.png cannot be decoded",
    ),
    "no P2": (
        lambda k: edit(k / "calib/000007.txt", "P2", "P5"),
        ("--no-tf",),
        "calib/000007.txt: no P2 in the calibration",
    ),
    "no focal length": (
        lambda k: edit(k / "calib/000007.txt", "P2: 100.0", "P2: -100.0"),
        (),
        "calib/000007.txt: the camera's focal lengths -100 and 100 in K are not positive",
    ),
    "half a rotation": (
        lambda k: edit(k / "calib/000007.txt", "R0_rect: 9.999239e-01", "R0_rect: 1.0 2.0"),
        (),
        "calib/000007.txt: R0_rect has 10 numbers, expected 9 (--no-tf does without)",
    ),
    "no rotation": (
        lambda k: edit(k / "calib/000007.txt", "Tr_velo_to_cam: 7.5", "Tr_velo_to_cam: 7007.5"),
        (),
        "calib/000007.txt: Tr_velo_to_cam holds no rotation",
    ),
    "no frame": (
        lambda k: [path.unlink() for path in (k / "image_2").iterdir()],
        (),
        "image_2 holds no image (.jpg, .jpeg, .png, ",
    ),
    "a frame twice": (
        lambda k: None,
        ("--frames", "000003", "000007", "000003"),
        "frame 000003 is named twice",
    ),
    "no such split": (
        lambda k: None,
        ("--split", "val"),
        "there is no list 'val': no such file in ",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_and_nothing_is_left_behind(case, write, kitti, capsys):
    damage, options, reason = CASES[case]
    damage(kitti)
    bag = write(*options, status=2)
    (line,) = [row for row in capsys.readouterr().err.splitlines() if row.startswith("kitti_bag")]
    assert reason in line
    assert not bag.exists()


def test_an_existing_folder_is_left_alone(write, tmp_path, capsys):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/thesis.txt").write_text("years of work")
    write(status=2)
    assert "bag exists already" in capsys.readouterr().err
    assert (tmp_path / "bag/thesis.txt").is_file()


def test_a_folder_of_something_else(write, tmp_path, capsys):
    write(source=tmp_path, status=2)
    assert f"{tmp_path} is no folder of KITTI's object data set" in capsys.readouterr().err


def test_bags_of_others_and_damaged_ones_are_refused(write):
    bag = write()
    lines = (bag / "frames.txt").read_text()
    for text, reason in {
        f"{lines}000099 5\n": "has no camera_info of frame 000099",
        "000003\n": "frames.txt, line 1: expected a name and a stamp, found '000003'",
        "000003 x\n": "frames.txt, line 1: expected a name and a stamp, found '000003 x'",
        "": "frames.txt is empty",
    }.items():
        (bag / "frames.txt").write_text(text)
        with pytest.raises(SourceError, match=reason):
            read_frames(bag)
    (bag / "frames.txt").unlink()
    with pytest.raises(SourceError, match=r"frames\.txt does not exist: the bag is none of"):
        read_frames(bag)


def test_a_camera_that_looks_straight_ahead_is_not_turned():
    unit = "1 0 0 0 0 1 0 0 0 0 1 0"
    text = f"P2: {unit}\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: {unit}\nTr_imu_to_velo: {unit}"
    for mount in mounts_of(text):
        assert mount.rotation == (0, 0, 0, 1)
        assert mount.translation == (0, 0, 0)
