"""Half precision is measured against float32, and what is harmless stands in the weights file."""

import pytest
import torch

from centernet_ros.checkpoint import read_checkpoint, save_checkpoint
from centernet_ros.models import build_model
from centernet_ros.presets import KITTI_CLASSES, ModelPreset
from training.precisions import harmless_of, main


def test_what_costs_more_than_the_limit_is_not_harmless():
    assert harmless_of(0.56, {"bfloat16": 0.5551, "float16": 0.5549}) == ["bfloat16"]
    assert harmless_of(0.56, {"bfloat16": 0.58}) == ["bfloat16"]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights that find nothing, which no precision makes worse."""
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)  # PyTorch alone
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    model = build_model("resnet18_pyramid", "detection2d", len(KITTI_CLASSES))
    preset = ModelPreset(
        "detection2d",
        "resnet18_pyramid",
        KITTI_CLASSES,
        (64, 96),
        harmless_precisions=("float16",),
    )
    save_checkpoint(path, model, preset)
    return path


def measure(weights, *options):
    return main([str(weights), "--images", "2", "--device", "cpu", *options])


def test_what_is_harmless_is_recorded_where_that_is_wanted(weights, capsys):
    before = weights.read_bytes()
    assert measure(weights) == 0
    said = capsys.readouterr().out
    assert "torch float32: AP 0.0000 on 2 images" in said
    assert "torch bfloat16: AP 0.0000 on 2 images" in said
    assert weights.read_bytes() == before

    assert measure(weights, "--record") == 0
    _, preset, _ = read_checkpoint(weights)
    # What was measured on a GPU stays.
    assert preset.harmless_precisions == ("bfloat16", "float16")


def test_the_limit_of_a_configuration_counts(tmp_path, weights, capsys):
    config = tmp_path / "run.yaml"
    config.write_text("data: {limit: 1, validation: {seed: 2, images: 3}}\n")

    assert measure(weights, "--data", str(config)) == 0
    assert "on 1 images" in capsys.readouterr().out


def test_errors_are_one_line(tmp_path, capsys):
    assert measure(tmp_path / "none.safetensors") == 1
    assert "training.precisions: weights file" in capsys.readouterr().err
