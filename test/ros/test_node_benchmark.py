"""The node benchmark measures a real node process over DDS."""

import json

import pytest

pytest.importorskip("rclpy", reason="ROS is not set up")

from centernet_ros.benchmark.__main__ import main
from centernet_ros.benchmark.node import measure_node
from centernet_ros.benchmark.subjects import picture, random_model
from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.presets import ModelPreset

PRESET = ModelPreset("detection3d", "resnet18_pyramid", ("car", "person"), (64, 96))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, random_model(PRESET.backbone, PRESET.task, 2), PRESET)
    return path


@pytest.mark.timeout(400)
@pytest.mark.slow
def test_every_rate_is_told_and_a_peak_is_found(weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("centernet_ros.benchmark.__main__.choose_backend", lambda device: "torch")
    file = tmp_path / "node.json"
    options = ["--rates", "2", "4", "--seconds", "1", "--image", "200x100", "--device", "cpu"]
    status = main(["node", "--weights", str(weights), *options, "--json", str(file)])
    said = capsys.readouterr()
    assert status == 0, said.err
    content = json.loads(file.read_text())
    assert content["machine"]["versions"]["torch"]
    (figures,) = content["figures"]
    slow, fast = figures["rates"]
    assert (slow["rate"], fast["rate"]) == (2, 4)
    for trial in (slow, fast):
        assert trial["dropped"] < trial["sent"]
        assert 0 < trial["latency_p50_ms"] <= trial["latency_p99_ms"] <= trial["latency_p99.9_ms"]
        assert trial["network_p50_ms"] < trial["latency_p50_ms"]
    assert figures["peak"]["dropped"] < 0.05 * figures["peak"]["sent"]
    assert "| resnet18_pyramid | peak" in said.out


def test_a_node_that_does_not_start_is_told_with_its_output(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)the node ended with exit status 1:.*does not exist"):
        measure_node(
            tmp_path / "none.safetensors",
            PRESET,
            picture(PRESET),
            parameters={"device": "cpu"},
            seconds=1.0,
        )
