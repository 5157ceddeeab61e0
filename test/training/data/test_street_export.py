"""The street's folders in KITTI's and COCO's formats, read back as others read them."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from training.data.street import CLASS_NAMES, StreetDataset, StreetFrame, render_sequence
from training.data.street.__main__ import main

SEED, COUNT = 21, 6


@pytest.fixture(scope="module")
def frames() -> list[StreetFrame]:
    return list(StreetDataset(SEED, COUNT))


@pytest.fixture(scope="module")
def kitti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street") / "kitti"
    options = ["--out", str(folder), "--count", str(COUNT), "--seed", str(SEED)]
    assert main([*options, "--format", "kitti"]) == 0
    return folder


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    options = ["--out", str(folder), "--count", str(COUNT), "--seed", str(SEED)]
    assert main([*options, "--format", "coco"]) == 0
    return folder


def test_kitti_labels_read_back_equal_the_truth(kitti: Path, frames: list[StreetFrame]):
    for index, frame in enumerate(frames):
        text = (kitti / "training" / "label_2" / f"{index:06d}.txt").read_text()
        rows = [line.split(" ") for line in text.splitlines()]
        assert all(len(row) == 15 for row in rows)
        objects = [row for row in rows if row[0] != "DontCare"]
        regions = [row for row in rows if row[0] == "DontCare"]
        assert [row[0].lower() for row in objects] == [CLASS_NAMES[i] for i in frame.objects.labels]
        assert [int(row[2]) for row in objects] == frame.occlusions.tolist()
        numbers = np.array([[row[1], *row[3:]] for row in objects], dtype=np.float64)
        truth = frame.objects
        expected = np.column_stack(
            [
                frame.truncations,
                truth.alphas,
                truth.boxes,
                truth.dimensions,
                truth.locations,
                truth.yaws,
            ]
        )
        np.testing.assert_allclose(numbers.reshape(expected.shape), expected, atol=0.0051)
        boxes = np.array([row[4:8] for row in regions], dtype=np.float64).reshape(-1, 4)
        np.testing.assert_allclose(boxes, frame.ignored.boxes.numpy(), atol=0.0051)
        blank = ["-1", "-1", "-1", "-1000", "-1000", "-1000", "-10"]
        assert all(row[1:4] == ["-1", "-1", "-10"] and row[8:] == blank for row in regions)


def test_kitti_calibration_and_images(kitti: Path, frames: list[StreetFrame]):
    keys = ["P0", "P1", "P2", "P3", "R0_rect", "Tr_velo_to_cam", "Tr_imu_to_velo"]
    for index, frame in enumerate(frames):
        lines = (kitti / "training" / "calib" / f"{index:06d}.txt").read_text().splitlines()
        table = {line.split(":")[0]: np.array(line.split()[1:], dtype=float) for line in lines}
        assert list(table) == keys
        assert [len(row) for row in table.values()] == [12, 12, 12, 12, 9, 12, 12]
        np.testing.assert_allclose(table["P2"].reshape(3, 4), frame.camera.projection, rtol=1e-9)
        scanner = table["Tr_velo_to_cam"].reshape(3, 4)
        assert (scanner @ [5, 1, 0.5, 1] == [-1, -0.5, 5]).all()
        image = cv2.imread(str(kitti / "training" / "image_2" / f"{index:06d}.png"))
        np.testing.assert_array_equal(image, frame.image)


def test_kitti_lists_split_the_images(kitti: Path):
    lists = {
        name: (kitti / "ImageSets" / f"{name}.txt").read_text().split()
        for name in ("train", "val", "trainval")
    }
    assert lists["train"] + lists["val"] == lists["trainval"]
    assert lists["trainval"] == [f"{index:06d}" for index in range(COUNT)]
    assert lists["val"]


def test_coco_instances_load_and_equal_the_truth(coco: Path, frames: list[StreetFrame]):
    truth = COCO(str(coco / "annotations" / "instances.json"))
    assert [row["name"] for row in truth.loadCats([1, 2, 3])] == list(CLASS_NAMES)
    for index, frame in enumerate(frames):
        rows = truth.loadAnns(truth.getAnnIds(imgIds=[index], iscrowd=False))
        crowd = truth.loadAnns(truth.getAnnIds(imgIds=[index], iscrowd=True))
        assert [row["category_id"] - 1 for row in rows] == frame.objects.labels.tolist()
        boxes = np.array([row["bbox"] for row in rows]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(boxes, frame.objects.boxes.numpy(), atol=0.002)
        assert len(crowd) == len(frame.ignored)
        assert all(row["area"] > 0 for row in rows)
        image = cv2.imread(str(coco / "images" / truth.loadImgs([index])[0]["file_name"]))
        np.testing.assert_array_equal(image, frame.image)


def test_coco_keypoints_load_and_equal_the_truth(coco: Path, frames: list[StreetFrame]):
    truth = COCO(str(coco / "annotations" / "person_keypoints.json"))
    assert len(truth.loadCats([1])[0]["keypoints"]) == 17
    for index, frame in enumerate(frames):
        rows = truth.loadAnns(truth.getAnnIds(imgIds=[index], iscrowd=False))
        assert len(rows) == len(frame.poses)
        for row, joints, flags in zip(
            rows, frame.poses.keypoints, frame.keypoint_visibility, strict=True
        ):
            table = np.array(row["keypoints"]).reshape(17, 3)
            seen = flags.numpy() > 0
            assert row["num_keypoints"] == seen.sum()
            np.testing.assert_array_equal(table[:, 2], flags.numpy())
            np.testing.assert_allclose(table[seen, :2], joints.numpy()[seen], atol=0.0051)
            assert (table[~seen] == 0).all()


def test_command_writes_drives_of_other_cameras(tmp_path: Path):
    options = ["--count", "3", "--size", "320x120", "--focal", "200", "--centre", "150,50.5"]
    assert main(["--out", str(tmp_path), "--sequence", "--rate", "5", *options]) == 0
    line = (tmp_path / "training" / "calib" / "000002.txt").read_text().splitlines()[2]
    numbers = [float(value) for value in line.split()[1:]]
    assert numbers[0] == numbers[5] == 200
    assert (numbers[2], numbers[6]) == (150, 50.5)
    # The baseline in metres is KITTI's, whatever the focal length.
    assert math.isclose(numbers[3] / numbers[0], 44.85728 / 721.5377, rel_tol=1e-6)
    image = cv2.imread(str(tmp_path / "training" / "image_2" / "000002.png"))
    assert image.shape == (120, 320, 3)


def test_command_sequence_is_the_sequence(tmp_path: Path):
    options = ["--sequence", "--count", "2", "--seed", "5", "--format", "coco"]
    assert main(["--out", str(tmp_path), *options]) == 0
    for index, frame in enumerate(render_sequence(5, 2)):
        image = cv2.imread(str(tmp_path / "images" / f"{index:012d}.png"))
        np.testing.assert_array_equal(image, frame.image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "voc"], "--format 'voc' is unknown; there are kitti, coco"),
        (["--size", "640"], "--size '640' is not WIDTHxHEIGHT"),
        (["--size", "0x192"], "--size '0x192' is not WIDTHxHEIGHT"),
        (["--size", "8x8"], "smaller than 16x16"),
        (["--focal", "-3"], "--focal -3 is not a positive length"),
        (["--focal", "nan"], "--focal nan is not a positive length"),
        (["--centre", "3"], "--centre '3' is not X,Y"),
        (["--count", "0"], "--count 0 is less than 1"),
        (["--seed", "-1"], "--seed -1 is negative"),
        (["--rate", "0"], "--rate 0 is not a positive number"),
    ],
)
def test_bad_arguments_give_one_clear_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["--out", str(tmp_path / "new"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_folder_that_is_not_empty_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "precious").write_text("data")
    assert main(["--out", str(tmp_path)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "precious")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_annotation_ids_are_unique(coco: Path):
    for name in ("instances", "person_keypoints"):
        rows = json.loads((coco / "annotations" / f"{name}.json").read_text())["annotations"]
        assert len({row["id"] for row in rows}) == len(rows)
        assert all(row["id"] > 0 for row in rows)
