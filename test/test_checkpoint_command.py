"""The command about weights files: convert and show."""

import dataclasses
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from authors_networks import assert_same_weights, authors_state, network, save
from centernet_ros.checkpoint import (
    load_model,
    read_checkpoint,
)
from centernet_ros.checkpoint.__main__ import main
from centernet_ros.presets import PRESETS


def test_command_converts(tmp_path):
    trained = network(classes=80)
    state = {f"module.{name}": value for name, value in authors_state(trained).items()}
    save(tmp_path / "ctdet_coco_resdcn18.pth", {"epoch": 140, "state_dict": state})
    arguments = ["convert", "ctdet_coco_resdcn18.pth", "out/coco.safetensors"]
    module = [sys.executable, "-m", "centernet_ros.checkpoint"]
    done = subprocess.run(
        [*module, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "resnet18 for detection2d, 80 classes" in done.stdout
    model, preset = load_model(tmp_path / "out" / "coco.safetensors")
    assert_same_weights(model, trained)
    assert preset == PRESETS["ctdet_coco_resdcn18"]
    _, _, notes = read_checkpoint(tmp_path / "out" / "coco.safetensors")
    assert notes == {"source": "ctdet_coco_resdcn18.pth"}


def test_command_takes_a_preset_and_half_precision(tmp_path, capsys):
    path = save(tmp_path / "mine.pth", authors_state(network(classes=20)))
    out = tmp_path / "mine.safetensors"
    options = ["--preset", "ctdet_pascal_resdcn18_384", "--half"]
    assert main(["convert", str(path), str(out), *options]) == 0
    assert load_file(out)["heads.size.0.weight"].dtype == torch.float16
    assert load_model(out)[1].input_size == (384, 384)
    capsys.readouterr()
    for file in (path, out):
        assert main(["show", str(file)]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["tensors"] == 177
        assert shown["preset"]["task"] == "detection2d"
        assert len(shown["preset"]["class_names"]) == 20


@pytest.mark.parametrize(
    ("task", "names", "options", "like"),
    [
        ("detection2d", ("cat", "traffic light"), (), "ctdet_coco_resdcn18"),
        (
            *("detection2d", ("cat", "dog")),
            ("--preset", "ctdet_pascal_dla_384"),
            "ctdet_pascal_resdcn18_384",
        ),
        ("detection3d", ("tram", "truck"), (), "ddd_3dop"),
        ("pose", ("worker",), (), "multi_pose_dla_1x"),
    ],
)
def test_command_takes_classes_of_ones_own(tmp_path, task, names, options, like):
    trained = network(task=task, classes=len(names))
    path, out = (
        save(tmp_path / "model_last.pth", authors_state(trained)),
        tmp_path / "m.safetensors",
    )
    command = ["convert", str(path), str(out), "--classes", ", ".join(names), *options]
    assert main(command) == 0
    model, preset = load_model(out)
    assert_same_weights(model, trained)
    assert preset == dataclasses.replace(PRESETS[like], backbone="resnet18", class_names=names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "cat"], "it has 2 classes, but 1 are named"),
        (["--classes", "cat,dog", "--preset", "ddd_sub"], "but preset 'ddd_sub' for detection3d"),
        (["--classes", "cat,dog", "--preset", "coco"], "unknown preset 'coco'"),
    ],
)
def test_classes_that_do_not_fit_are_told(tmp_path, capsys, options, message):
    path = save(tmp_path / "model_last.pth", authors_state(network()))
    assert main(["convert", str(path), str(tmp_path / "m.safetensors"), *options]) == 1
    error = capsys.readouterr().err
    assert "model_last.pth" in error
    assert message in error


@pytest.mark.parametrize("names", ["cat,", "cat,cat"])
def test_classes_are_different_names(capsys, names):
    with pytest.raises(SystemExit):
        main(["convert", "a.pth", "b.safetensors", "--classes", names])
    assert "is no list of different names" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere.pth"], "nowhere.pth does not exist"),
        (["convert", "nowhere.pth", "out.safetensors"], "nowhere.pth does not exist"),
        (
            ["convert", "nowhere.pth", "out.safetensors", "--classes", "a"],
            "error: weights file nowhere.pth does not exist",
        ),
        (["convert", "x.pth", "out.safetensors", "--preset", "y"], "unknown preset 'y'"),
    ],
)
def test_command_tells_what_is_wrong(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "out.safetensors").exists()
