"""Weights files: what is written comes back, and every bad file is told apart by its message."""

import dataclasses
import errno
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from centernet_ros.checkpoint import (
    HEADER_KEY,
    CheckpointError,
    load_model,
    load_weights,
    read_checkpoint,
    replace_preset,
    save_checkpoint,
)
from centernet_ros.models import build_model
from centernet_ros.presets import Fit, ModelPreset

PRESET = ModelPreset("detection2d", "resnet18", ("pedestrian", "car"), (384, 1280), Fit.WIDTH)


def small_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 2, 4))


@pytest.fixture
def network():
    network = small_network()
    network[1](torch.randn(2, 4, 5, 5))  # so that running statistics and the count are not bare
    return network


@pytest.fixture
def file(tmp_path, network):
    """A good weights file of the small network."""
    path = tmp_path / "good.safetensors"
    save_checkpoint(path, network, PRESET)
    return path


def assert_same_state(state, expected):
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert state[name].dtype == value.dtype, name
        assert torch.equal(state[name], value), name


def test_round_trip_is_exact(file, network):
    tensors, preset, notes = read_checkpoint(file)
    assert_same_state(tensors, network.state_dict())
    assert preset == PRESET
    assert notes == {}
    other = small_network(seed=1)
    load_weights(other, file)
    assert_same_state(other.state_dict(), network.state_dict())


def test_path_may_be_text(file, network):
    other = small_network(seed=1)
    load_weights(other, str(file))
    assert_same_state(other.state_dict(), network.state_dict())


def test_half_precision_rounds_once(tmp_path, network):
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, network, PRESET, dtype=torch.float16)
    tensors, _, _ = read_checkpoint(path)
    assert tensors["0.weight"].dtype == torch.float16
    assert tensors["1.num_batches_tracked"].dtype == torch.int64
    other = small_network(seed=1)
    load_weights(other, path)
    rounded = {
        name: value.half().float() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    assert_same_state(other.state_dict(), rounded)
    assert not torch.equal(rounded["0.weight"], network[0].weight)


def test_what_half_precision_cannot_hold_is_refused(tmp_path, network):
    network[1].running_var[2] = 7e4
    with pytest.raises(
        CheckpointError, match=r"1\.running_var has .* too large for float16: store"
    ):
        save_checkpoint(tmp_path / "half.safetensors", network, PRESET, dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []
    network[1].running_var[2] = torch.inf  # which it was before
    save_checkpoint(tmp_path / "half.safetensors", network, PRESET, dtype=torch.float16)


def test_saving_leaves_the_network_alone(tmp_path, network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    save_checkpoint(tmp_path / "half.safetensors", network, PRESET, dtype=torch.float16)
    assert_same_state(network.state_dict(), before)


def test_notes_come_back(tmp_path, network):
    notes = {"command": "python -m training.train", "ap": 0.5, "seeds": [1, 2], "ä": None}
    save_checkpoint(tmp_path / "noted.safetensors", network, PRESET, notes=notes)
    assert read_checkpoint(tmp_path / "noted.safetensors")[2] == notes


def test_another_preset_leaves_tensors_and_notes(tmp_path, network):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, network, PRESET, dtype=torch.float16, notes={"seed": 7})
    before, _, _ = read_checkpoint(path)
    preset = dataclasses.replace(PRESET, harmless_precisions=("bfloat16",))
    replace_preset(path, preset)
    after, read, notes = read_checkpoint(path)
    assert (read, notes) == (preset, {"seed": 7})
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name].dtype == value.dtype
        assert after[name].equal(value)


def test_folders_are_made(tmp_path, network):
    save_checkpoint(tmp_path / "runs" / "first" / "last.safetensors", network, PRESET)
    assert [p.name for p in (tmp_path / "runs" / "first").iterdir()] == ["last.safetensors"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path, network):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "weights.safetensors"
    with pytest.raises(CheckpointError, match=f"cannot write weights file {path}: "):
        save_checkpoint(path, network, PRESET)


def test_memory_order_does_not_matter(tmp_path, network):
    path = tmp_path / "ordered.safetensors"
    save_checkpoint(path, network.to(memory_format=torch.channels_last), PRESET)
    assert_same_state(read_checkpoint(path)[0], network.state_dict())


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "shown"), [(FULL, CheckpointError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_failing_write_leaves_the_old_file(file, monkeypatch, error, shown):
    def fill_the_disk(path, content):
        with path.open("wb") as half:
            half.write(content[: len(content) // 2])
        raise error

    before = file.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(shown):
        save_checkpoint(file, small_network(seed=1), PRESET)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


def test_failing_first_write_leaves_no_file(tmp_path, monkeypatch):
    def fail(*_):
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(CheckpointError, match=r"new\.safetensors: No space left on device"):
        save_checkpoint(tmp_path / "new.safetensors", small_network(), PRESET)
    assert os.listdir(tmp_path) == []


# --- files that cannot be used


def test_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors does not exist"):
        read_checkpoint(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="does not exist"):
        read_checkpoint(tmp_path)


def foreign(name):
    """Contents that are no safetensors file."""
    if name == "empty":
        return b""
    if name == "text":
        return b"weights go here\n" * 100
    if name == "html":
        return b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    return pickle.dumps({"epoch": 140, "state_dict": {}})


@pytest.mark.parametrize("name", ["empty", "text", "html", "pickle"])
def test_foreign_file_is_refused(tmp_path, name):
    path = tmp_path / "model.pth"
    path.write_bytes(foreign(name))
    with pytest.raises(CheckpointError, match=r"model\.pth is not a safetensors file"):
        read_checkpoint(path)


def test_torch_archive_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"model\.pth is not a safetensors file"):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize("kept", [4, 100, 0.5, -1])
def test_truncated_file_is_refused(file, kept):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(CheckpointError, match=r"good\.safetensors is not a safetensors file"):
        read_checkpoint(file)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_others_is_refused(tmp_path, metadata):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"other\.safetensors has no 'centernet_ros' header"):
        read_checkpoint(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "header",
    [
        "no json",
        "[]",
        "{}",
        json.dumps({"preset": []}),
        json.dumps({"preset": {}}),
        json.dumps({"preset": {**PRESET.to_dict(), "colour": "red"}}),
        json.dumps({"preset": {**PRESET.to_dict(), "pad_to": 0}}),
        json.dumps({"preset": {**PRESET.to_dict(), "input_size": "big"}}),
    ],
)
def test_damaged_header_is_refused(tmp_path, header):
    save_file({"weight": torch.zeros(3)}, tmp_path / "x.safetensors", {HEADER_KEY: header})
    with pytest.raises(CheckpointError, match=r"x\.safetensors has a damaged header"):
        read_checkpoint(tmp_path / "x.safetensors")


# --- tensors that do not fit


def test_missing_tensor_is_named(network):
    state = network.state_dict()
    del state["1.running_var"]
    with pytest.raises(CheckpointError, match=r"missing 1\.running_var$"):
        load_weights(small_network(), state)


@pytest.mark.parametrize("name", ["fc.weight", "fc.num_batches_tracked"])
def test_extra_tensor_is_named(network, name):
    state = {**network.state_dict(), name: torch.zeros(2)}
    with pytest.raises(CheckpointError, match=f"unexpected {name}$"):
        load_weights(small_network(), state)


def test_misshapen_tensor_is_named(network):
    state = {**network.state_dict(), "0.weight": torch.zeros(4, 3, 1, 1)}
    message = r"0\.weight is \(4, 3, 1, 1\), expected \(4, 3, 3, 3\)"
    with pytest.raises(CheckpointError, match=message):
        load_weights(small_network(), state)


def test_many_problems_are_counted():
    with pytest.raises(
        CheckpointError, match=r"missing 0\.weight; missing 0\.bias.* and 3 more missing$"
    ):
        load_weights(small_network(), {})


def test_refused_weights_change_nothing(network):
    other = small_network(seed=1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    state = network.state_dict()
    del state["2.bias"]
    with pytest.raises(CheckpointError):
        load_weights(other, state)
    assert_same_state(other.state_dict(), before)


def test_batch_counts_may_be_absent(network):
    state = {n: v for n, v in network.state_dict().items() if not n.endswith("_tracked")}
    other = small_network(seed=1)
    load_weights(other, state)
    assert torch.equal(other[1].running_var, network[1].running_var)


def test_file_that_does_not_fit_is_named(file):
    with pytest.raises(CheckpointError, match=r"good\.safetensors does not fit .*missing weight;"):
        load_weights(nn.Linear(1, 1), file)


# --- whole networks


def test_model_of_a_file(tmp_path):
    torch.manual_seed(0)
    model = build_model("resnet18", "detection2d", 2)
    path = tmp_path / "resnet18.safetensors"
    save_checkpoint(path, model, PRESET, dtype=torch.float16)
    loaded, preset = load_model(path)
    assert preset == PRESET
    expected = {n: v.half() if v.is_floating_point() else v for n, v in model.state_dict().items()}
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, expected[name].to(value.dtype)), name
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_model_with_other_classes_is_refused(tmp_path):
    path = tmp_path / "three.safetensors"
    save_checkpoint(path, build_model("resnet18", "detection2d", 3), PRESET, dtype=torch.float16)
    with pytest.raises(CheckpointError, match=r"three\.safetensors does not fit .*heads\.heatmap"):
        load_model(path)


@pytest.mark.parametrize(("key", "value"), [("backbone", "resnet99"), ("task", "segmentation")])
def test_unknown_network_is_named(tmp_path, network, key, value):
    preset = ModelPreset.from_dict({**PRESET.to_dict(), key: value})
    save_checkpoint(tmp_path / "x.safetensors", network, preset)
    with pytest.raises(CheckpointError, match=rf"x\.safetensors: unknown {key} '{value}'; known:"):
        load_model(tmp_path / "x.safetensors")


def test_a_file_may_be_read_by_whom_the_users_other_files_may_be_read(tmp_path):
    (tmp_path / "other").touch()
    save_checkpoint(tmp_path / "new.safetensors", small_network(), PRESET)
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
