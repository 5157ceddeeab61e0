"""Converted networks on disk: made once, made again when damaged, never half there."""

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from centernet_ros.backends.cache import KEPT, cache_folder, cached, model_key


class Builder:
    """Writes a file and counts."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        (folder / "network.bin").write_bytes(b"weights %d" % self.calls)


def test_folder_follows_the_standard(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "centernet_ros"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "centernet_ros"


def test_built_once_with_one_line(capsys):
    build = Builder()
    first, second = (cached("key", build, "a into b") for _ in range(2))
    assert first == second
    assert (first / "network.bin").read_bytes() == b"weights 1"
    assert capsys.readouterr().err == (
        f"centernet_ros: converting a into b, once; kept in {cache_folder()}\n"
    )


@pytest.mark.parametrize("damage", ["cut short", "changed", "missing", "foreign"])
def test_damaged_is_built_again(damage):
    build = Builder()
    file = cached("key", build, "") / "network.bin"
    if damage == "missing":
        file.unlink()
    elif damage == "foreign":
        (file.parent / "more").touch()
    else:
        file.write_bytes({"cut short": b"weigh", "changed": b"weights 7"}[damage])
    assert (cached("key", build, "") / "network.bin").read_bytes() == b"weights 2"


def test_interruption_leaves_nothing():
    def interrupted(folder):
        (folder / "network.bin").write_bytes(b"wei")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("key", interrupted, "")
    assert list(cache_folder().iterdir()) == []


def test_oldest_go():
    for i in range(KEPT + 2):
        entry = cached(f"key{i}", Builder(), "")
        os.utime(entry, (i, i))
    assert {path.name for path in cache_folder().iterdir()} == {
        f"key{i}" for i in range(2, KEPT + 2)
    }


def test_what_an_ended_process_left_goes_but_not_what_is_being_written():
    cached("first", Builder(), "")
    left, written = (cache_folder() / f"second.{name}" for name in ("left", "written"))
    for folder in (left, written):
        folder.mkdir()
        (folder / "network.bin").write_bytes(b"wei")
    os.utime(left, (1, 1))
    cached("third", Builder(), "")
    assert {path.name for path in cache_folder().iterdir()} == {"first", "third", written.name}


def test_key_follows_weights_network_and_facts():
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3)
    key = model_key(model, "openvino", "1")
    assert key == model_key(model, "openvino", "1")
    assert key != model_key(model, "openvino", "2")
    strided = nn.Conv2d(3, 4, 3, stride=2)
    strided.load_state_dict(model.state_dict())
    assert key != model_key(strided, "openvino", "1")
    with torch.no_grad():
        model.weight[0, 0, 0, 0] += 1e-6
    assert key != model_key(model, "openvino", "1")
