"""The whole command: every task on every kind of source, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from centernet_ros.detect.frames import Frame, Source, Unusable
from centernet_ros.detect.loop import detect_all
from centernet_ros.detector import Detector
from centernet_ros.kitti import read_objects

ROOT = Path(__file__).parents[2]
SIZE = 48, 96


def results_of(run):
    return json.loads((run.folder / "results.json").read_text())


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_boxes_in_a_folder(detect, weights, folder):
    run = detect(folder, "--weights", weights("detection2d"), "--threshold", "0")
    assert run.status == 0, run.err
    assert run.out.startswith("detection2d with resnet18 on cpu in folder ")
    assert "3 images, 60 objects with a score of at least 0, " in run.out
    assert names_in(run.folder) == ["pictures", "results.json"]
    assert names_in(run.folder / "pictures") == [
        "000000000139.png",
        "000000000285.jpg",
        "000000000632.bmp.jpg",
    ]
    drawn = cv2.imread(str(run.folder / "pictures/000000000139.png"))
    assert drawn.shape == (*SIZE, 3)
    assert not np.array_equal(drawn, cv2.imread(str(folder / "000000000139.png")))
    content = results_of(run)
    assert (content["task"], content["threshold"]) == ("detection2d", 0)
    assert [len(image["detections"]) for image in content["images"]] == [20] * 3


def test_results_are_those_of_the_detector(detect, weights, folder):
    path = folder / "000000000139.png"
    options = {"flip": True, "scales": [0.5, 1.0], "nms": True}
    run = detect(
        *(path, "--weights", weights("detection2d"), "--threshold", "0"),
        *("--flip", "--scales", "0.5", "1", "--nms"),
    )
    assert run.status == 0, run.err
    expected = Detector.from_checkpoint(weights("detection2d"), "cpu", **options)(
        cv2.imread(str(path))
    )
    (image,) = results_of(run)["images"]
    boxes = [found["box"] for found in image["detections"]]
    np.testing.assert_allclose(boxes, expected.boxes, rtol=1e-5, atol=1e-4)
    assert len(boxes) > 20 / 2


def test_3d_boxes_in_a_kitti_folder(detect, weights, kitti):
    run = detect(
        *(kitti, "--weights", weights("detection3d"), "--threshold", "0"),
        *("--format", "json", "kitti"),
    )
    assert run.status == 0, run.err
    assert names_in(run.folder / "kitti") == ["000003.txt", "000007.txt"]
    images = results_of(run)["images"]
    assert [image["projection"][0][0] for image in images] == pytest.approx([103, 107])
    found = read_objects((run.folder / "kitti/000003.txt").read_text())
    assert len(found) == len(images[0]["detections"]) == 20
    best = max(found, key=lambda item: item.score)
    assert best.location == pytest.approx(images[0]["detections"][0]["location"], abs=0.006)
    # A map stands beside the picture.
    height, width, _ = cv2.imread(str(run.folder / "pictures/000003.png")).shape
    assert (height, width) == (SIZE[0], SIZE[1] + SIZE[0] * 3 // 4)


def test_a_split_of_kittis_data_set(detect, weights, kitti, tmp_path):
    """The data set's own folder and a list in it, as for `training.evaluate`."""
    root = (tmp_path / "data").resolve()
    root.mkdir()
    kitti.rename(root / "training")
    (root / "ImageSets").mkdir()
    (root / "ImageSets/val.txt").write_text("000007\n")
    command = ("--weights", weights("detection3d"), "--format", "kitti", "--no-pictures")
    run = detect(root, *command, "--list", "ImageSets/val.txt")
    assert run.status == 0, run.err
    assert names_in(run.folder / "kitti") == ["000007.txt"]


def test_people_in_a_video(detect, weights, video):
    run = detect(video, "--weights", weights("pose"), "--threshold", "0")
    assert run.status == 0, run.err
    assert names_in(run.folder) == ["film.webm", "pictures", "results.json"]
    film = cv2.VideoCapture(str(run.folder / "film.webm"))
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert sum(film.read()[0] for _ in range(9)) == 5
    content = results_of(run)
    assert [image["stamp"] for image in content["images"]] == [i * 10**8 for i in range(5)]
    assert len(content["images"][0]["detections"][0]["keypoints"]) == 17


def test_3d_boxes_in_a_bag(detect, weights, write_bag):
    bag = write_bag("CompressedImage", focals={0: 100.0, 2: 200.0})
    run = detect(bag, "--weights", weights("detection3d"), "--no-pictures", "--no-film")
    assert run.status == 0, run.err
    assert names_in(run.folder) == ["results.json"]
    images = results_of(run)["images"]
    assert [image["projection"][0][0] for image in images] == [100, 100, 200, 200]
    assert images[1]["stamp"] - images[0]["stamp"] == 10**8


def test_a_calibration_for_a_folder(detect, weights, folder, camera_yaml):
    run = detect(
        folder, "--weights", weights("detection3d"), "--calib", camera_yaml(), "--no-pictures"
    )
    assert run.status == 0, run.err
    assert [image["projection"][0][0] for image in results_of(run)["images"]] == [90] * 3


def test_each_format_has_its_threshold(detect, weights, folder):
    # Random weights score about 0.1, the heads' initial bias.
    run = detect(
        *(folder, "--weights", weights("detection2d"), "--format", "json", "coco", "kitti"),
        "--no-pictures",
    )
    assert run.status == 0, run.err
    entries = json.loads((run.folder / "coco.json").read_text())
    assert len(entries) == 60
    assert {entry["image_id"] for entry in entries} == {139, 285, 632}
    assert [len(image["detections"]) for image in results_of(run)["images"]] == [0] * 3
    assert (run.folder / "kitti/000000000139.txt").read_text() == ""


def test_unusable_images_are_named_and_counted(detect, weights, folder):
    (folder / "000000000200.jpg").write_bytes(b"no picture")
    run = detect(folder, "--weights", weights("detection2d"), "--no-pictures")
    assert run.status == 1
    assert "unusable: 000000000200.jpg: its 10 bytes" in run.err
    assert "detect: 1 unusable, named above" in run.err
    content = results_of(run)
    assert len(content["images"]) == 3
    assert [item["name"] for item in content["unusable"]] == ["000000000200.jpg"]


def test_a_calibration_of_another_size(detect, weights, folder, camera_yaml):
    path = camera_yaml(
        **{"image_width: 96": "image_width: 192", "image_height: 48": "image_height: 96"}
    )
    command = (folder, "--weights", weights("detection3d"), "--calib", path, "--no-pictures")
    run = detect(*command)
    assert run.status == 2
    assert "set rescale_calibration if it is the whole image resized (detect: --rescale)" in run.err
    run = detect(*command, "--rescale")
    assert run.status == 0, run.err
    assert [image["projection"][0][0] for image in results_of(run)["images"]] == [45] * 3


def test_depths_follow_the_focal_length(detect, weights, folder, camera_yaml):
    command = (folder, "--weights", weights("detection3d"), "--calib", camera_yaml())
    command += ("--threshold", 0, "--no-pictures")
    plain = results_of(detect(*command))["images"][0]["detections"]
    run = detect(*command, "--training-focal-length", 180)
    assert run.status == 0, run.err
    content = results_of(run)
    assert content["training_focal_length"] == 180
    preset = Detector.from_checkpoint(weights("detection3d"), "cpu").preset
    zoom = preset.input_size[1] / SIZE[1]
    for before, after in zip(plain, content["images"][0]["detections"], strict=True):
        depth = before["location"][2] * 90 * zoom / 180
        assert after["location"][2] == pytest.approx(depth, rel=1e-5)


def no_weights(**_):
    return ["--weights", "missing.safetensors"], "weights file missing.safetensors does not exist"


def no_calibration(weights, **_):
    return ["--weights", weights("detection3d")], "need a calibration, but .* give --calib FILE"


def a_broken_calibration(weights, camera_yaml, **_):
    path = camera_yaml(camera_matrix="matrix")
    return ["--weights", weights("detection3d"), "--calib", path], "'camera_matrix' is missing"


def another_cameras_calibration(weights, camera_yaml, **_):
    path = camera_yaml(**{"image_width: 96": "image_width: 100"})
    return ["--weights", weights("detection3d"), "--calib", path], "no image could be used"


def scales_of_3d(weights, camera_yaml, **_):
    options = ["--weights", weights("detection3d"), "--calib", camera_yaml(), "--scales", 0.5, 1]
    return options, "scale"


def a_negative_scale(weights, **_):
    return ["--weights", weights("detection2d"), "--scales", -1], "scale"


def a_scale_too_large_for_any_image(weights, **_):
    return ["--weights", weights("detection2d"), "--scales", 1e9], "no side may exceed 32766"


def a_scale_too_large_for_the_images(weights, **_):
    return ["--weights", weights("detection2d"), "--scales", 400], "no image could be used"


def a_projection_without_sense(weights, tmp_path, **_):
    path = tmp_path / "calib.txt"
    path.write_text("P2: inf 0 48 0 0 700 32 0 0 0 1 0\n")
    return ["--weights", weights("detection3d"), "--calib", path], "calib.txt: projection holds a"


def an_unknown_device(weights, **_):
    return ["--weights", weights("detection2d"), "--device", "tpu"], "unknown device 'tpu'"


def joints_for_kitti(weights, **_):
    return ["--weights", weights("pose"), "--format", "kitti"], "no place for joints"


def unused_annotations(weights, tmp_path, **_):
    path = tmp_path / "annotations.json"
    path.write_text('{"images": [], "categories": []}')
    return ["--weights", weights("pose"), "--annotations", path], "with --format coco only"


def a_folder_that_cannot_be_written(weights, tmp_path, **_):
    # To nobody, also not to root.
    (tmp_path / "out").symlink_to("/proc/self/fdinfo")
    return ["--weights", weights("detection2d")], "output folder .*/out cannot be written to"


def rescaling_without_a_camera(weights, **_):
    return ["--weights", weights("detection2d"), "--rescale"], "--rescale is of use for detection3d"


def a_focal_length_for_2d(weights, **_):
    return [
        *("--weights", weights("detection2d"), "--training-focal-length", 700)
    ], "of use for detection3d only"


def one_number_for_two_images(weights, folder, **_):
    (folder / "139.jpg").write_bytes((folder / "000000000139.png").read_bytes())
    return ["--weights", weights("detection2d"), "--format", "coco"], "one number, 139"


def a_folder_that_is_a_file(weights, tmp_path, **_):
    (tmp_path / "out").write_text("")
    return ["--weights", weights("detection2d")], "File exists"


@pytest.mark.parametrize(
    "make",
    [
        no_weights,
        no_calibration,
        a_broken_calibration,
        another_cameras_calibration,
        scales_of_3d,
        a_negative_scale,
        a_scale_too_large_for_any_image,
        a_scale_too_large_for_the_images,
        a_projection_without_sense,
        an_unknown_device,
        joints_for_kitti,
        unused_annotations,
        a_folder_that_is_a_file,
        a_folder_that_cannot_be_written,
        a_focal_length_for_2d,
        rescaling_without_a_camera,
        one_number_for_two_images,
    ],
)
def test_bad_options_are_refused(make, detect, weights, folder, camera_yaml, tmp_path):
    options, reason = make(
        weights=weights, folder=folder, camera_yaml=camera_yaml, tmp_path=tmp_path
    )
    run = detect(folder, *options)
    assert run.status == 2
    last = run.err.strip().splitlines()[-1]
    assert last.startswith("detect: ")
    assert re.search(reason, last), last
    assert not (run.folder / "results.json").exists()


@pytest.mark.parametrize("value", ["0", "-700", "nan", "inf", "wide"])
def test_a_focal_length_is_positive(detect, capsys, value):
    with pytest.raises(SystemExit, match="2"):
        detect("photos", "--weights", "w", f"--training-focal-length={value}")
    assert f"{value} is no focal length; expected pixels" in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["inf", "-inf", "nan", "abc"])
def test_a_threshold_is_a_number(detect, capsys, threshold):
    with pytest.raises(SystemExit, match="2"):
        detect("photos", "--weights", "w", f"--threshold={threshold}")
    assert f"--threshold: {threshold} is no score" in capsys.readouterr().err


def test_names_without_numbers_are_refused_before_the_work(detect, weights, folder):
    (folder / "street.jpg").write_bytes((folder / "000000000285.jpg").read_bytes())
    run = detect(folder, "--weights", weights("detection2d"), "--format", "coco")
    assert run.status == 2
    assert "needs a number for image street.jpg" in run.err
    assert not run.folder.exists()


def stand_in(answers):
    """A detector that gives or raises one answer after the other."""

    def detector(image, camera):
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return detector


def test_an_image_too_large_for_the_memory_is_named(weights):
    detector = Detector.from_checkpoint(weights("detection2d"), "cpu")
    image = np.zeros((*SIZE, 3), np.uint8)
    answers = iter([detector(image), RuntimeError("not enough memory\nmore"), detector(image)])
    source = Source("", None, 3, None, lambda: iter([Frame(str(i), image) for i in range(3)]))
    outcome = detect_all(stand_in(answers), source)
    assert [record.name for record in outcome.records] == ["0", "2"]
    assert outcome.unusable == [Unusable("1", "the network failed on it: not enough memory")]


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interruption_leaves_what_was_found(tmp_path, weights, sent):
    path = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, SIZE[::-1])
    for _ in range(2000):
        writer.write(np.zeros((*SIZE, 3), np.uint8))
    writer.release()
    out = tmp_path / "out"
    command = [sys.executable, "-m", "centernet_ros.detect", path, "--output", out]
    command += ["--weights", weights("detection2d"), "--device", "cpu"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
    assert process.stdout.readline().startswith("detection2d")
    while not (out / "pictures/000001.jpg").exists():
        assert process.poll() is None
    process.send_signal(sent)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted, the results so far are written" in errors
    assert "Traceback" not in errors
    images = json.loads((out / "results.json").read_text())["images"]
    assert 1 <= len(images) < 2000
    assert f"{len(images)} images" in text
