"""KITTI's folders become samples; what is wrong in them is named with file and line."""

import shutil
from pathlib import Path

import pytest
import torch

from centernet_ros.structures import Detections2D, Detections3D
from training.data.kitti import open_kitti
from training.data.sample import DataError

DATA = Path(__file__).parents[4] / "shared" / "data" / "kitti"


def opened(kitti, task="detection3d", **options):
    return open_kitti(kitti.folder, kitti.list_file, task, **options)


def test_frames_come_in_the_order_of_the_list(kitti):
    samples = opened(kitti)

    assert samples.names == ["000001", "000000"]
    assert [samples[i].name for i in range(2)] == samples.names
    assert open_kitti(kitti.folder, None, "detection3d").names == ["000000", "000001"]


def test_a_car_has_its_place_and_the_camera_its_p2(kitti):
    sample = opened(kitti)[1]

    assert type(sample.truth) is Detections3D
    assert sample.truth.labels.tolist() == [1]
    torch.testing.assert_close(sample.truth.locations, torch.tensor([[1.0, 1.7, 12.0]]))
    torch.testing.assert_close(sample.truth.dimensions, torch.tensor([[1.5, 1.6, 3.9]]))
    assert sample.camera.projection[0].tolist() == [40, 0, 32, 0.5]
    assert sample.camera.image_size == (48, 64)


def test_vans_sitting_people_and_unlabelled_regions_are_ignored_and_trams_background(kitti):
    sample = opened(kitti)[1]

    assert sample.ignored.labels.tolist() == [1, 0, -1]
    assert [item.kind for item in sample.label_lines][1:4] == ["Van", "Person_sitting", "Tram"]
    assert len(opened(kitti)[0].truth) == 0


def test_boxes_alone_can_be_learnt(kitti):
    assert type(opened(kitti, "detection2d")[1].truth) is Detections2D


def test_boxes_alone_need_no_calibration(kitti):
    shutil.rmtree(kitti.folder / "calib")

    sample = opened(kitti, "detection2d")[1]
    assert sample.truth.labels.tolist() == [1]
    assert sample.camera is None
    with pytest.raises(DataError, match=r"calib/000001\.txt: no such file \(2 files"):
        opened(kitti)


def test_own_classes_are_known_beside_kittis_kinds(kitti):
    kitti.label("000001").write_text(kitti.label("000000").read_text().replace("Car ", "Bus "))

    with pytest.raises(DataError, match=r"000001\.txt, line 1: unknown class 'Bus'"):
        opened(kitti)
    samples = opened(kitti, class_names=("bus", "car"))
    assert samples[0].truth.labels.tolist() == [0]


def test_own_classes_need_a_size_however_they_are_written(kitti):
    path = kitti.label("000000")
    path.write_text(path.read_text().replace("1.50 1.60 3.90", "1.50 0.00 3.90"))

    with pytest.raises(DataError, match=r"line 1: height, width, length .* not positive"):
        opened(kitti, class_names=("Car",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Car 0.00", "Car", r"000000\.txt, line 1: 14 fields"),
        ("10.00 10.00 40.00", "10.00 ten 40.00", r"000000\.txt, line 1: .*'ten'"),
        ("10.00 10.00 40.00", "10.00 10.00 4.00", r"000000\.txt, line 1: .* inverted"),
        ("1.70 12.00", "1.70 nan", r"000000\.txt, line 1: not every number is finite"),
        ("1.50 1.60 3.90", "1.50 0.00 3.90", r"line 1: height, width, length .* not positive"),
    ],
)
def test_a_wrong_line_is_named(kitti, old, new, message):
    path = kitti.label("000000")
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(DataError, match=message):
        opened(kitti)


def test_a_box_outside_the_image_is_named(kitti):
    path = kitti.label("000000")
    path.write_text(path.read_text().replace("10.00 10.00 40.00 30.00", "70 10 90 30"))

    with pytest.raises(DataError, match=r"000000\.txt, line 1: Car: .* outside the image of 64x48"):
        opened(kitti)[1]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("image_2/000001.png", r"no image 000001\.\* in .*image_2 \(1 of 2 are missing"),
        ("label_2/000001.txt", r"label_2/000001\.txt: no such file \(1 files"),
        ("calib/000001.txt", r"calib/000001\.txt: no such file \(1 files"),
    ],
)
def test_a_missing_file_is_named(kitti, part, message):
    (kitti.folder / part).unlink()

    with pytest.raises(DataError, match=message):
        opened(kitti)


@pytest.mark.parametrize("suffix", [".PNG", ".jpeg", ".bmp"])
def test_images_may_have_any_ending(kitti, suffix):
    path = kitti.folder / "image_2/000000.png"
    path.rename(path.with_suffix(suffix))

    assert opened(kitti)[1].image.shape == (48, 64, 3)


def test_a_mark_of_utf8_before_a_text_is_left_out(kitti):
    for path in (kitti.label("000000"), kitti.calib("000000"), kitti.list_file):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert opened(kitti)[1].label_lines[0].kind == "Car"


@pytest.mark.parametrize(
    ("text", "message"),
    [("P1: 1 2 3\n", "no P2"), ("P2: 1 2 3\n", "P2 has 3 numbers"), (f"P2:{' 0' * 12}", "focal")],
)
def test_an_unusable_calibration_is_named(kitti, text, message):
    kitti.calib("000000").write_text(text)

    with pytest.raises(DataError, match=rf"calib/000000\.txt: .*{message}"):
        opened(kitti)[1]


@pytest.mark.parametrize(("split", "count"), [("train", 40), ("val", 30)])
def test_real_frames_load_whole(split, count):
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    samples = open_kitti(DATA / "training", DATA / "ImageSets" / f"{split}.txt", "detection3d")

    assert len(samples) == count
    for index in range(0, count, 10):
        sample = samples[index]
        assert sample.camera.image_size == sample.image.shape[:2]
        pixels = sample.camera.project(sample.truth.corners())
        inside = (pixels.mean(1) - sample.truth.boxes.view(-1, 2, 2).mean(1)).abs()
        extent = (sample.truth.boxes[:, 2:] - sample.truth.boxes[:, :2]).clamp(min=8)
        # Boxes that the image does not cut off lie about the middle of what is projected.
        assert (inside / extent).median() < 0.2
