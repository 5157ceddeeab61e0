"""The command runs, writes what it measured, and the fast ways are fast: as ratios only."""

import json
import time

import pytest
import torch

from centernet_ros.benchmark.__main__ import main
from centernet_ros.benchmark.subjects import BASELINE, eager, random_model, time_executors
from centernet_ros.benchmark.timing import measure, speed_up
from centernet_ros.models.deform_conv import DeformConv, deform_conv_by_lookup

CPU = torch.device("cpu")
SMALL = ["--height", "64", "--width", "64", "--repetitions", "2", "--device", "cpu"]


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Runs the command with PyTorch alone, which needs no conversion."""
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)

    def run_command(*arguments):
        file = tmp_path / "figures.json"
        status = main([*arguments, *SMALL, "--json", str(file)])
        figures = json.loads(file.read_text()) if file.is_file() else None
        return status, capsys.readouterr(), figures

    return run_command


def test_table_has_every_test_mode(run):
    status, said, content = run("table", "--backbones", "resnet18_pyramid", "--batches", "1", "2")
    assert status == 0
    (figures,) = content["figures"]
    assert list(figures["modes"]) == ["none", "flip", "multi-scale"]
    medians = [mode["median_ms"] for mode in figures["modes"].values()]
    assert medians[0] < medians[2]
    assert set(figures["network_images_per_second"]) == {"1", "2"}
    assert figures["peak_memory_mib"] > 100
    assert "| resnet18_pyramid | multi-scale |" in said.out


def test_executors_are_ratios_and_absent_ones_are_named(run):
    status, said, content = run(
        "executors", "--backbones", "resnet18_pyramid", "--precisions", "float32"
    )
    assert status == 0
    assert [row["executor"] for row in content["figures"]] == [BASELINE, "torch float32"]
    assert all(row["difference"] < 1e-4 for row in content["figures"])
    assert all(row["operations"] > 1e8 and row["share_of_peak"] > 0 for row in content["figures"])
    assert "peak in float32:" in said.out
    assert "backend openvino is not installed: pip install openvino" in said.out


def test_machine_and_versions_come_along(run):
    _, said, content = run("stages", "--backbones", "resnet18_pyramid")
    machine = content["machine"]
    assert machine["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert machine["threads"] == torch.get_num_threads()
    assert machine["processor"] in said.out
    assert set(content["figures"][0]["stages"]) == {
        "prepare",
        "network",
        "decode",
        "network + decode",
    }


def test_the_deformable_convolution_by_itself(run):
    status, said, content = run("kernels")
    assert status == 0, said.err
    assert len(content["figures"]) == 2 * 5
    operator, ours = content["figures"][:2]
    assert (operator["shape"], operator["kernel"]) == ("64-64 16x16", "torchvision float32")
    assert (ours["kernel"], operator["speed_up"]) == ("sampling float32", [1.0, 1.0, 1.0])
    assert ours["speed_up"][0] > 0


def test_errors_are_one_line(run):
    status, said, content = run("stages", "--weights", "nothing.safetensors")
    assert (status, content) == (1, None)
    assert "centernet_ros.benchmark: weights file nothing.safetensors does not exist" in said.err


@pytest.mark.parametrize("backbone", ["resnet18", "resnet101", "dla34"])
def test_random_networks_answer_their_input(backbone):
    """An answer that the input hardly changes would hide every mistake."""
    model = random_model(backbone, "detection2d", 2)
    with torch.no_grad():
        size = model(torch.randn(1, 3, 128, 128))[-1]["size"]
    centred = size - size.mean(dim=(2, 3), keepdim=True)
    assert centred.std() > 0.1 * size.std()
    reaches = []
    for module in model.modules():
        if isinstance(module, DeformConv):
            module.conv_offset_mask.register_forward_hook(
                lambda module, inputs, output: reaches.append(output[:, :18].std().item())
            )
    with torch.no_grad():
        model(torch.randn(1, 3, 128, 128))
    assert all(0.02 < reach < 1 for reach in reaches)


def test_baseline_is_the_same_network():
    model = random_model("resnet18", "detection2d", 2)
    batch = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(batch)[-1]
    for name, value in eager(model, CPU)(batch).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)


def test_lookup_is_faster_than_the_operator():
    """3.4 times at this size when it was made; a machine must be odd to lose all of that."""
    from torchvision.ops import deform_conv2d

    torch.manual_seed(0)
    x = torch.randn(1, 64, 64, 64).contiguous(memory_format=torch.channels_last)
    offset, mask = torch.randn(1, 18, 64, 64), torch.rand(1, 9, 64, 64)
    weight, bias = torch.randn(64, 64, 3, 3), torch.zeros(64)
    with torch.inference_mode():
        times = measure(
            {
                "operator": lambda: deform_conv2d(x, offset, weight, bias, padding=1, mask=mask),
                "lookup": lambda: deform_conv_by_lookup(x, offset, mask, weight, bias),
            },
            10,
            clock=time.process_time,
        )
    assert speed_up(times["operator"], times["lookup"]).value > 1.5


def test_openvino_is_faster_than_eager():
    """1.9 times with the demo's network when it was made."""
    pytest.importorskip("openvino", reason="an optional executor")
    model = random_model("resnet18_pyramid", "detection2d", 3)
    options = {"repetitions": 8, "clock": time.process_time, "names": ["openvino"]}
    results = time_executors(model, CPU, (1, 3, 160, 256), ["float32"], **options)
    times = {result.label: result.times for result in results}
    assert speed_up(times[BASELINE], times["openvino float32"]).value > 1.2
