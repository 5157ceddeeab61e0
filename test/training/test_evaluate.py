"""Weights are measured on data of every form; the files for the servers give the same figures."""

import json
import shutil

import pytest
import torch

from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import ModelPreset
from training.evaluate import main

SIZE = (64, 96)


def weights(folder, task, names, backbone="resnet18_pyramid"):
    torch.manual_seed(0)
    path = folder / f"{task}.safetensors"
    model = build_model(backbone, task, len(names))
    save_checkpoint(path, model, ModelPreset(task, backbone, names, SIZE))
    return path


def evaluate(path, *options):
    return main([str(path), "--workers", "0", "--device", "cpu", *map(str, options)])


def figures(path):
    return json.loads(path.read_text())


@pytest.fixture
def boxes(tmp_path):
    """Weights for cups and forks."""
    return weights(tmp_path, "detection2d", ("fork", "cup"))


def test_coco_data_and_its_result_file_have_the_same_figures(tmp_path, coco, boxes):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    options = ("--data", coco.annotations, "--folder", coco.images)
    # Sizes of the truth, so that something is found at all.
    options += ("--oracle", "heatmap,size,offset", "--json", one)
    assert evaluate(boxes, *options, "--results", tmp_path / "out") == 0
    result_file = tmp_path / "out" / "results.json"
    assert main(["files", "coco", str(coco.annotations), str(result_file), "--json", str(two)]) == 0

    assert figures(one)["ap50"] == pytest.approx(1.0)
    assert figures(two)["ap50"] == pytest.approx(1.0)


def test_coco_data_may_lack_a_class(tmp_path, coco):
    path = weights(tmp_path, "detection2d", ("fork", "spoon", "cup"))
    options = ("--data", coco.annotations, "--folder", coco.images, "--results", tmp_path / "out")

    assert evaluate(path, *options) == 0
    entries = figures(tmp_path / "out" / "results.json")
    assert {entry["category_id"] for entry in entries} == {3, 7}
    assert main(["files", "coco", str(coco.annotations), str(tmp_path / "out/results.json")]) == 0


def test_a_list_chooses_images_of_a_json_file(tmp_path, coco, boxes):
    chosen = coco.content["images"][0]
    (coco.annotations.parent / "chosen.txt").write_text(chosen["file_name"] + "\n")
    options = ("--data", coco.annotations, "--folder", coco.images, "--list", "chosen.txt")

    assert evaluate(boxes, *options, "--results", tmp_path / "out") == 0
    entries = figures(tmp_path / "out" / "results.json")
    assert {entry["image_id"] for entry in entries} == {chosen["id"]}


def test_voc_data_in_folders_and_its_result_files(tmp_path, voc):
    voc.write("camera/three", ("cat", 0, (1, 1, 32, 24)))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("camera/three\none\n")
    path = weights(tmp_path, "detection2d", ("cat", "dog"))
    options = ("--list", "ImageSets/Main/test.txt", "--oracle", "heatmap,size,offset")
    figure = ("--json", tmp_path / "one.json")

    assert evaluate(path, "--data", tmp_path, *options, *figure, "--results", tmp_path / "out") == 0
    files = ["files", "voc", str(tmp_path), str(tmp_path / "out")]
    assert main([*files, "--json", str(tmp_path / "two.json")]) == 0
    assert figures(tmp_path / "two.json")["ap"]["cat"] == pytest.approx(1)
    assert figures(tmp_path / "one.json")["ap"]["cat"] == pytest.approx(1)


def test_annotations_without_numbers_for_results_are_refused_before_the_work(
    tmp_path, coco, boxes, monkeypatch, capsys
):
    def refuse(path):
        raise ValueError(f"{path} has no numbers")

    monkeypatch.setattr("training.results.read_annotations", refuse)
    monkeypatch.setattr("training.evaluate.predict", lambda *_: pytest.fail("it was measured"))
    options = ("--data", coco.annotations, "--folder", coco.images)

    assert evaluate(boxes, *options, "--results", tmp_path / "out") == 1
    assert f"{coco.annotations} has no numbers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_voc_data_and_its_result_files(tmp_path, voc, capsys):
    path = weights(tmp_path, "detection2d", ("cat", "dog"))
    options = ("--data", tmp_path, "--list", "train.txt", "--results", tmp_path / "out")

    assert evaluate(path, *options, "--oracle", "heatmap,size,offset") == 0
    assert "cat" in capsys.readouterr().out
    best = (tmp_path / "out" / "comp4_det_train_cat.txt").read_text().splitlines()[0].split()
    assert best[0] == "one"
    assert [float(number) for number in best[2:]] == pytest.approx([1, 1, 32, 24], abs=1.5)


def test_kitti_data_and_its_result_files(tmp_path, kitti):
    path = weights(tmp_path, "detection3d", ("pedestrian", "car", "cyclist"))
    out = tmp_path / "out"

    options = ("--data", kitti.folder.parent, "--list", "frames.txt", "--results", out)
    assert evaluate(path, *options) == 0
    lines = (out / "000000.txt").read_text().splitlines()
    assert len(lines) == 100
    assert all(len(line.split()) == 16 for line in lines)
    assert (out / "000001.txt").exists()


def test_a_runs_configuration_names_the_data(tmp_path, people):
    path = weights(tmp_path, "pose", ("person",))
    source = f"{{annotations: {people.annotations}, images: {people.images}}}"
    config = tmp_path / "run.yaml"
    config.write_text(f"task: pose\ndata: {{kind: coco, train: {source}, validation: {source}}}\n")
    output = tmp_path / "figures.json"

    assert evaluate(path, "--data", config, "--json", output, "--flip", "--scales", 1, 1.5) == 0
    assert 0 <= figures(output)["ap"] <= 1


def test_the_limit_of_a_configuration_counts(tmp_path, coco, boxes):
    source = f"{{annotations: {coco.annotations}, images: {coco.images}}}"
    config = tmp_path / "run.yaml"
    data = f"{{kind: coco, limit: 1, train: {source}, validation: {source}}}"
    config.write_text(f"task: detection2d\ndata: {data}\n")
    out = tmp_path / "out"

    assert evaluate(boxes, "--data", config, "--results", out) == 0
    assert {entry["image_id"] for entry in figures(out / "results.json")} == {10}


def test_white_space_in_the_name_of_a_kitti_frame_stays(tmp_path, kitti):
    path = weights(tmp_path, "detection2d", ("pedestrian", "car", "cyclist"))
    for file in sorted(kitti.folder.glob("*/000001.*")):
        file.rename(file.with_stem("a frame"))

    assert evaluate(path, "--data", kitti.folder, "--results", tmp_path / "out") == 0
    labels = str(kitti.folder / "label_2")
    assert main(["files", "kitti", labels, str(tmp_path / "out")]) == 0


def test_white_space_in_the_name_of_a_voc_image_is_refused(tmp_path, voc, capsys):
    voc.write("an image", ("cat", 0, (1, 1, 32, 24)))
    path = weights(tmp_path, "detection2d", ("cat", "dog"))

    assert evaluate(path, "--data", tmp_path, "--results", tmp_path / "out") == 1
    assert "image 'an image' has some in its name; rename it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_name_in_two_voc_folders_is_refused(tmp_path, voc, capsys):
    voc.write("1", ("cat", 0, (1, 1, 32, 24)))
    shutil.copytree(tmp_path, tmp_path / "again", ignore=shutil.ignore_patterns("again"))
    path = weights(tmp_path, "detection2d", ("cat", "dog"))
    source = "{folders: ['.', again]}"
    config = tmp_path / "run.yaml"
    data = f"{{kind: voc, root: {tmp_path}, train: {source}, validation: {source}}}"
    config.write_text(f"task: detection2d\ndata: {data}\n")

    assert evaluate(path, "--data", config, "--results", tmp_path / "out") == 1
    assert "'1' is in several of ., again: measure them one by one" in capsys.readouterr().err


def test_the_least_score(tmp_path, coco, boxes):
    """As the authors measured KITTI: what scores less is left out of figures and files."""
    given = ("--data", coco.annotations, "--folder", coco.images)
    entries = {}
    for threshold in (0, 0.11, 1):
        out = tmp_path / str(threshold)
        assert evaluate(boxes, *given, "--threshold", threshold, "--results", out) == 0
        entries[threshold] = figures(out / "results.json")
    assert len(entries[0]) > len(entries[0.11]) > len(entries[1]) == 0
    assert min(entry["score"] for entry in entries[0.11]) >= 0.11
    assert any(entry["score"] != round(entry["score"], 2) for entry in entries[0])


def test_poses_of_the_street_have_no_result_files(tmp_path, capsys):
    path = weights(tmp_path, "pose", ("person",))

    assert evaluate(path, "--images", 1, "--results", tmp_path / "out") == 1
    assert "annotation file does, but street data has none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "data.limit=1"), "--set changes a run's configuration: give its YAML"),
        (("--data", "run.yaml", "--folder", "x"), "--folder tells where the images of a JSON"),
        (("--data", "/", "--folder", "x"), "--folder tells where the images of a JSON file lie"),
        (("--folder", "x"), "--folder tells where the images of a JSON file lie"),
        (("--list", "x"), "--list chooses images of a folder or JSON file"),
        (("--data", "run.yaml", "--list", "x"), "--list chooses images of a folder"),
        (("--json", "no/such/folder/a.json"), "--json no/such/folder/a.json: the folder no/such/"),
        (("--json", "/"), "--json / is a folder; name a file"),
        (("--data", "run.yaml", "--images", "5"), "--seed and --images choose street images"),
        (("--data", "/", "--seed", "0"), "--seed and --images choose street images"),
    ],
)
def test_options_without_use_are_refused_before_the_work(capsys, options, message):
    assert evaluate("no weights", *options) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--results", __file__), "File exists"),
        (("--oracle", "depth"), "no head 'depth' for an oracle; known: heatmap, size, offset"),
        (("--oracle", "size", "--flip"), "--oracle goes with neither --flip"),
        (("--data", "no/such/place"), "no/such/place: expected a run's configuration"),
        (("--scales", "0"), "scale"),
        (("--scales", "1e9"), "scale 1e+09 makes"),
        (("--scales", "600"), "scale 600 makes 38400x28800 pixels of 64x48"),
    ],
)
def test_what_cannot_be_measured_is_one_line(tmp_path, coco, boxes, capsys, options, message):
    given = ("--data", coco.annotations, "--folder", coco.images, *options)

    assert evaluate(boxes, *given) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
