"""The folder of the command: what lies there stays, and what is old is told."""

import json
import re

import cv2
import numpy as np
import pytest


def test_older_result_files_are_told(detect, weights, folder, tmp_path):
    older = tmp_path / "out/kitti/000001.txt"
    older.parent.mkdir(parents=True)
    older.write_text("")
    run = detect(folder, "--weights", weights("detection2d"), "--format", "kitti", "--no-pictures")
    assert run.status == 0
    assert "1 older files are in" in run.err
    assert "such as kitti/000001.txt" in run.err
    again = detect(folder / "000000000139.png", "--weights", weights("detection2d"))
    assert "4 older files are in" in again.err
    assert detect(folder, "--weights", weights("detection2d")).err.count("older files") == 1


def test_the_source_is_not_written_over(detect, weights, folder, tmp_path):
    pictures = tmp_path / "out/pictures"
    pictures.parent.mkdir()
    folder.rename(pictures)
    before = {path: path.read_bytes() for path in pictures.iterdir()}
    run = detect(pictures, "--weights", weights("detection2d"))
    assert run.status == 2
    assert "000000000139.png would replace its own source: choose another --output" in run.err
    assert {path: path.read_bytes() for path in pictures.iterdir()} == before
    assert detect(pictures, "--weights", weights("detection2d"), "--no-pictures").status == 0


def test_the_film_does_not_replace_the_video(detect, weights, video, tmp_path):
    film = tmp_path / "out/film.webm"
    film.parent.mkdir()
    video.rename(film)
    run = detect(film, "--weights", weights("detection2d"), "--no-pictures")
    assert run.status == 2
    assert "film.webm would replace its own source" in run.err


def snapshot(folder):
    """What all files of a folder hold."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def annotations(folder, path):
    """A COCO file that numbers the images of a folder."""
    images = [{"id": i, "file_name": name.name} for i, name in enumerate(sorted(folder.iterdir()))]
    names = ("pedestrian", "car", "cyclist")
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "categories": categories}))
    return path


@pytest.mark.parametrize("link", ["", "symbolic", "hard", "by a detour"])
def test_results_do_not_replace_the_labels(detect, weights, folder, tmp_path, link):
    """The user's own coco.json lies where the results would go, whatever it is called here."""
    out = tmp_path / "out"
    out.mkdir()
    labels = annotations(folder, out / "coco.json")
    text = labels.read_bytes()
    if link == "symbolic":
        labels = labels.rename(tmp_path / "labels.json")
        (out / "coco.json").symlink_to(labels)
    if link == "hard":
        (tmp_path / "labels.json").hardlink_to(labels)
        labels = tmp_path / "labels.json"
    if link == "by a detour":
        labels = tmp_path / "photos/../out/coco.json"
    run = detect(
        *(folder, "--weights", weights("detection2d"), "--format", "coco", "--no-pictures"),
        *("--annotations", labels),
    )
    assert run.status == 2
    assert "out/coco.json would replace the file of --annotations: choose another" in run.err
    assert labels.read_bytes() == text


def test_results_do_not_replace_weights_or_calibrations(detect, weights, kitti, video, tmp_path):
    (tmp_path / "out").mkdir()
    own = tmp_path / "out/results.json"
    own.write_bytes(weights("detection2d").read_bytes())
    calib = (kitti / "calib").rename(tmp_path / "out/kitti")
    (kitti / "calib").symlink_to(calib)
    before = snapshot(tmp_path)
    command = ("--weights", weights("detection3d"), "--no-pictures", "--no-film", "--format")
    for arguments, reason in (
        ((kitti, "--weights", own, "--no-pictures"), "results.json would replace .* --weights"),
        ((kitti, *command, "kitti"), "kitti/000003.txt would replace its own source"),
        (
            (video, *command, "kitti", "--calib", calib / "000003.txt"),
            "kitti/000003.txt would replace the file of --calib",
        ),
    ):
        run = detect(*arguments)
        assert run.status == 2
        assert re.search(reason, run.err), run.err
    assert snapshot(tmp_path) == before
    # What is not written is in no danger.
    run = detect(kitti, *command, "coco")
    assert run.status == 0, run.err
    assert before.items() <= snapshot(tmp_path).items()


def test_two_images_do_not_share_a_picture(detect, weights, tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    picture = cv2.imencode(".jpg", np.zeros((48, 96, 3), np.uint8))[1].tobytes()
    for name in ("a.webp", "a.webp.jpg"):
        (folder / name).write_bytes(picture)
    run = detect(folder, "--weights", weights("detection2d"))
    assert run.status == 2
    assert "a.webp and a.webp.jpg would share the picture a.webp.jpg" in run.err
    run = detect(folder, "--weights", weights("detection2d"), "--no-pictures")
    assert run.status == 0, run.err
