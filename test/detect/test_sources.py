"""Sources: every kind of them read back, and each thing that can be wrong with one."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from centernet_ros.bag import SourceError
from centernet_ros.detect.cameras import read_camera
from centernet_ros.detect.frames import Frame, Unusable
from centernet_ros.detect.sources import open_source

SIZE = 48, 96
FIRST_STAMP = 1317013200_000000000


def read(*paths, needs_camera=False, **options):
    source = open_source(list(paths), needs_camera=needs_camera, **options)
    items = list(source.read())
    if source.names is not None:
        assert [item.name for item in items] == list(source.names)
        assert source.count == len(items)
    return items


def values(items):
    """The grey value of the right half of each image."""
    return [round(float(item.image[:, SIZE[1] // 2 + 8 :].mean())) for item in items]


def focals(items):
    return [pytest.approx(float(item.camera.projection[0, 0])) for item in items]


def test_a_folder_of_images(folder):
    items = read(folder)
    assert [item.name for item in items] == [
        "000000000139.png",
        "000000000285.jpg",
        "000000000632.bmp",
    ]
    assert values(items) == pytest.approx([139, 85, 32], abs=2)
    assert all(item.image.shape == (*SIZE, 3) and item.camera is None for item in items)
    assert (items[0].image[:, :40, 0] == 255).all()


def test_one_image_and_several(folder):
    first, second, _ = sorted(folder.glob("0*"))
    assert [item.name for item in read(first)] == [first.name]
    assert [item.name for item in read(second, first)] == [second.name, first.name]


def test_images_of_one_name_are_told_apart(folder, tmp_path):
    paths = []
    for camera in ("left", "right"):
        path = tmp_path / camera / "1.png"
        path.parent.mkdir()
        cv2.imwrite(str(path), np.zeros((*SIZE, 3), np.uint8))
        paths.append(path)
    assert [item.name for item in read(*paths)] == ["left/1.png", "right/1.png"]
    # Also by another way: a name with ".." would leave the folder of the pictures.
    detour = tmp_path / "left/../right/1.png"
    assert [item.name for item in read(paths[0], detour)] == ["left/1.png", "right/1.png"]
    for second in (paths[0], tmp_path / "right/../left/1.png"):
        with pytest.raises(SourceError, match=r"left/1\.png is given twice"):
            read(paths[0], second)


def test_unreadable_images_are_named_and_the_others_are_read(folder):
    (folder / "000000000200.jpg").write_bytes(b"no picture")
    whole = (folder / "000000000285.jpg").read_bytes()
    (folder / "000000000285.jpg").write_bytes(whole[:-20])
    good, bad, cut, last = read(folder)
    assert isinstance(good, Frame)
    assert isinstance(last, Frame)
    assert isinstance(bad, Unusable)
    assert "its 10 bytes of 000000000200.jpg cannot be decoded" in bad.reason
    assert isinstance(cut, Unusable)
    assert "JPEG is truncated" in cut.reason


def test_video(video):
    source = open_source([video], needs_camera=False)
    assert (source.count, source.rate) == (5, pytest.approx(10))
    items = list(source.read())
    assert [item.name for item in items] == [f"{i:06d}" for i in range(5)]
    assert values(items) == pytest.approx([0, 40, 80, 120, 160], abs=4)
    assert [item.stamp for item in items] == [0, 10**8, 2 * 10**8, 3 * 10**8, 4 * 10**8]
    assert len(list(source.read())) == 5


def with_times(path, seconds):
    """Tell other times of the images of an MP4 file, ten a second until then."""
    data = bytearray(path.read_bytes())
    table = data.index(b"stts")
    rate = int.from_bytes(data[table + 16 : table + 20], "big") * 10
    steps = [*np.diff(seconds), 0.1]
    entries = [(1).to_bytes(4, "big") + round(s * rate).to_bytes(4, "big") for s in steps]
    data[table + 8 : table + 20] = len(entries).to_bytes(4, "big") + b"".join(entries)
    grown = 8 * (len(entries) - 1)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        size = data.index(box) - 4
        length = int.from_bytes(data[size : size + 4], "big") + grown
        data[size : size + 4] = length.to_bytes(4, "big")
    # The list of edits ends with the old duration.
    path.write_bytes(data.replace(b"edts", b"free"))


def test_a_video_of_no_constant_rate(tmp_path):
    """As telephones record them: each image has its own time."""
    path = tmp_path / "phone.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, SIZE[::-1])
    for _ in range(5):
        writer.write(np.zeros((*SIZE, 3), np.uint8))
    writer.release()
    with_times(path, [0, 0.1, 0.3, 1.3, 2.0])
    items = read(path)
    assert all(isinstance(item, Frame) for item in items)
    seconds = [item.stamp / 10**9 for item in items]
    assert seconds == pytest.approx([0, 0.1, 0.3, 1.3, 2.0], abs=1e-3)


def test_a_video_that_ends_early_is_told(tmp_path, capfd):
    path = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, SIZE[::-1])
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    for _ in range(40):
        writer.write(noise)
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    *read_ones, last = read(path)
    assert 10 < len(read_ones) < 30
    assert all(isinstance(item, Frame) for item in read_ones)
    assert last.reason == f"ends after {len(read_ones)} of about 40 images: it is damaged"
    assert capfd.readouterr().err == ""


def test_photographs_lie_as_their_labels_say(tmp_path):
    """Upright as people see them, unless only the stored picture has the labelled size."""
    path = tmp_path / "1.jpg"
    jpeg = cv2.imencode(".jpg", np.zeros((16, 32, 3), np.uint8))[1].tobytes()
    turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (8 + len(turned)).to_bytes(2, "big") + b"Exif\0\0" + turned
    path.write_bytes(jpeg[:2] + segment + jpeg[2:])
    shapes = {None: (32, 16), (32, 16): (32, 16), (16, 32): (16, 32), (5, 5): (32, 16)}
    for size, shape in shapes.items():
        (item,) = read(path, sizes={} if size is None else {"1.jpg": size})
        assert item.image.shape[:2] == shape


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
@pytest.mark.parametrize("kind", ["Image", "CompressedImage"])
def test_bag(write_bag, kind, storage):
    path = write_bag(kind, storage=storage, focals={0: 100.0})
    source = open_source([path], needs_camera=False)
    assert (source.count, source.rate) == (4, pytest.approx(10))
    items = list(source.read())
    assert values(items) == [0, 10, 20, 30]
    assert (items[1].image[:, :48, 0] == 255).all()
    assert [item.stamp for item in items] == [FIRST_STAMP + i * 10**8 for i in range(4)]
    assert all(item.camera is None for item in items)
    assert [item.camera.image_size for item in read(path, needs_camera=True)] == [SIZE] * 4


def test_the_last_calibration_of_a_bag_counts(write_bag):
    items = read(write_bag(focals={1: 100.0, 3: 200.0}), needs_camera=True)
    # What comes before the first one belongs to it.
    assert focals(items) == [100, 100, 100, 200]


def test_a_calibration_file_counts_more_than_that_of_a_bag(write_bag, camera_yaml):
    items = read(write_bag(focals={0: 100.0}), needs_camera=True, look=read_camera(camera_yaml()))
    assert focals(items) == [90] * 4


def test_damaged_messages_are_named(write_bag):
    items = read(write_bag(broken=[1]))
    assert [type(item) for item in items] == [Frame, Unusable, Frame, Frame]
    assert "is no readable sensor_msgs/msg/Image" in items[1].reason


def test_an_uncalibrated_camera_gives_no_images(write_bag):
    items = read(write_bag(focals={0: 0.0}), needs_camera=True)
    assert all("not calibrated: K[0] is 0" in item.reason for item in items)


def test_kitti(kitti):
    items = read(kitti, needs_camera=True)
    assert [item.name for item in items] == ["000003.png", "000007.png"]
    assert focals(items) == [103, 107]
    assert [item.camera for item in read(kitti)] == [None, None]


@pytest.fixture
def split(kitti):
    """Lists beside the folder of KITTI's form; gives the data set's folder."""
    sets = kitti.parent / "ImageSets"
    sets.mkdir()
    (sets / "val.txt").write_text("000007\n")
    (sets / "all.txt").write_text("000007 -1\n\n000003 1316995200000000000\n")
    return kitti.parent


@pytest.mark.parametrize("chosen", ["ImageSets/val.txt", "val"])
@pytest.mark.parametrize("below", ["", "training"])
def test_a_list_chooses_frames_of_kitti(split, below, chosen):
    items = read(split / below, chosen=chosen, needs_camera=True)
    assert [item.name for item in items] == ["000007.png"]
    assert focals(items) == [107]


def test_a_list_by_its_path_in_its_order(split, tmp_path, monkeypatch):
    items = read(split, chosen=str(split / "ImageSets/all.txt"))
    assert [item.name for item in items] == ["000007.png", "000003.png"]
    monkeypatch.chdir(split)
    (item,) = read(Path("training"), chosen="ImageSets/val.txt")
    assert item.name == "000007.png"
    monkeypatch.chdir("training")
    (item,) = read(Path(), chosen="ImageSets/val.txt")
    assert item.name == "000007.png"


def test_a_list_chooses_images_of_a_folder(folder):
    (folder / "some.txt").write_text("000000000632.bmp\n000000000139\n000000000632\n")
    items = read(folder, chosen="some.txt")
    assert [item.name for item in items] == ["000000000632.bmp", "000000000139.png"]
    for suffix in (".jpg", ".webp"):
        cv2.imwrite(str(folder / f"000000000139{suffix}"), np.zeros((*SIZE, 3), np.uint8))
    # Of files that differ by their suffix alone the PNG counts, as in training.
    assert [item.name for item in read(folder, chosen="some.txt")] == [item.name for item in items]


def test_a_missing_calibration_of_kitti_is_named(kitti):
    (kitti / "calib/000003.txt").unlink()
    (kitti / "calib/000007.txt").write_text("P2: 1 2\n")
    for item in read(kitti, needs_camera=True):
        assert isinstance(item, Unusable)
        assert f"calib/{item.name[:6]}.txt" in item.reason


def nothing(tmp_path, **_):
    return [tmp_path / "nothing"], {}, "nothing does not exist"


def an_empty_folder(tmp_path, **_):
    (tmp_path / "empty/inside").mkdir(parents=True)
    return [tmp_path / "empty"], {}, "holds no image .*; it has the folders inside"


def a_text_file(folder, **_):
    return [folder / "notes.txt"], {}, "neither an image nor a video"


def a_video_among_images(folder, video, **_):
    return (
        [folder / "000000000139.png", video],
        {},
        r"must be image files, but .*drive\.avi is none",
    )


def a_topic_of_a_folder(folder, **_):
    return [folder], {"topic": "/cam/image"}, "--topic chooses a topic of a bag"


def a_wrong_topic(write_bag, **_):
    return (
        [write_bag()],
        {"topic": "/cam/picture"},
        "no image topic /cam/picture; it has",
    )


def a_bag_file(write_bag, **_):
    return [next(write_bag().glob("*.db3"))], {}, "is a file: a rosbag2 folder"


def a_bag_without_metadata(write_bag, **_):
    path = write_bag()
    (path / "metadata.yaml").unlink()
    return [path], {}, "has no metadata.yaml"


def a_bag_without_images(write_bag, **_):
    return [write_bag(count=0)], {}, "topic /cam/image holds no message"


def a_bag_without_camera(write_bag, **_):
    return [write_bag()], {"needs_camera": True}, "has no CameraInfo for /cam/image: give --calib"


def a_folder_without_camera(folder, **_):
    return [folder], {"needs_camera": True}, "needs? a calibration, but .* give --calib FILE"


def kitti_without_calib(kitti, **_):
    for path in (kitti / "calib").iterdir():
        path.unlink()
    (kitti / "calib").rmdir()
    return [kitti], {"needs_camera": True}, "calib does not exist: give --calib"


def undistort_without_calibration(folder, **_):
    return [folder], {"undistort": True}, "--undistort need a calibration"


def undistort_kitti(kitti, **_):
    return [kitti], {"undistort": True}, "KITTI's images are rectified: leave --undistort out"


def a_list_of_a_video(video, **_):
    return [video], {"chosen": "val"}, r"--list chooses images of a folder, but .*drive\.avi is"


def a_list_of_a_bag(write_bag, **_):
    return [write_bag()], {"chosen": "val"}, "--list chooses images of a folder"


def a_list_of_several_images(folder, **_):
    return sorted(folder.glob("0*")), {"chosen": "val"}, "folder, but 3 images is none"


def a_missing_list(kitti, **_):
    return [kitti], {"chosen": "val"}, "there is no list 'val': .* no ImageSets/val.txt"


def a_list_of_missing_images(kitti, **_):
    (kitti / "val.txt").write_text("000003\n000004\n")
    reason = r"val\.txt: .*image_2 holds no image 000004 \(1 of 2 are missing\)"
    return [kitti], {"chosen": "val.txt"}, reason


def a_list_of_doubles(folder, **_):
    (folder / "val.txt").write_text("1\n1\n")
    return [folder], {"chosen": "val.txt"}, r"list .*val\.txt names 1 twice"


@pytest.mark.parametrize(
    "make",
    [
        nothing,
        a_list_of_a_video,
        a_list_of_a_bag,
        a_list_of_several_images,
        a_missing_list,
        a_list_of_missing_images,
        a_list_of_doubles,
        an_empty_folder,
        a_text_file,
        a_video_among_images,
        a_topic_of_a_folder,
        a_wrong_topic,
        a_bag_file,
        a_bag_without_metadata,
        a_bag_without_images,
        a_bag_without_camera,
        a_folder_without_camera,
        kitti_without_calib,
        undistort_without_calibration,
        undistort_kitti,
    ],
)
def test_what_cannot_be_read_is_refused(make, tmp_path, folder, video, write_bag, kitti):
    paths, options, reason = make(
        tmp_path=tmp_path, folder=folder, video=video, write_bag=write_bag, kitti=kitti
    )
    with pytest.raises(SourceError, match=reason):
        open_source(paths, **{"needs_camera": False, **options})
