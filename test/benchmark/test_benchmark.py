"""The command runs, writes what it measured, and the fast ways are fast: as ratios only."""

import argparse
import json
import subprocess
import sys
import time

import pytest
import torch

from centernet_ros.benchmark import __main__ as command_line
from centernet_ros.benchmark import subjects
from centernet_ros.benchmark.__main__ import main
from centernet_ros.benchmark.kernels import time_kernels
from centernet_ros.benchmark.subjects import BASELINE, eager, random_model, time_executors
from centernet_ros.benchmark.timing import measure, speed_up
from centernet_ros.models.deform_conv import DeformConv, deform_conv_by_lookup
from centernet_ros.presets import ModelPreset

CPU = torch.device("cpu")
SMALL = ["--height", "64", "--width", "64", "--repetitions", "6", "--device", "cpu"]


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
    assert (figures["executor"], figures["precision"]) == ("torch", "float32")
    assert "| resnet18_pyramid | torch float32 | multi-scale |" in said.out


def test_executors_are_ratios_and_absent_ones_are_named(run):
    status, said, content = run(
        "executors", "--backbones", "resnet18_pyramid", "--precisions", "float32"
    )
    assert status == 0
    names = [row["executor"] for row in content["figures"]]
    assert names == [BASELINE, "torch float32", "torch float32 at peaks"]
    assert all(row["difference"] < 1e-4 for row in content["figures"])
    assert {row["precision"] for row in content["figures"]} == {"float32"}
    for row in content["figures"]:
        assert row["operations"] > row["operations_at_peaks"] > 1e8
        assert row["share_of_peak"] > 0
    assert "peak in float32:" in said.out
    assert "backend openvino is not installed: pip install openvino" in said.out


def test_machine_and_versions_come_along(run):
    _, said, content = run("stages", "--backbones", "resnet18_pyramid")
    machine = content["machine"]
    assert machine["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert machine["threads"] == torch.get_num_threads()
    assert machine["processor"] in said.out
    assert content["weights"] == "random"
    assert content["figures"][0]["input_size"] == [64, 64]
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


def test_kernels_of_a_wide_input(monkeypatch):
    asked = []
    monkeypatch.setattr(
        command_line, "time_kernels", lambda *_, height, **__: asked.append(height) or []
    )
    assert main(["kernels", "--height", "384", "--device", "cpu"]) == 0
    assert asked == [384]
    (largest, *_) = time_kernels(CPU, 1, repetitions=6, height=24)
    assert largest.side == 6


def test_errors_are_one_line(tmp_path, capsys):
    file = tmp_path / "figures.json"
    assert main(["stages", "--weights", "nothing.safetensors", "--json", str(file)]) == 1
    assert not file.exists()
    message = "centernet_ros.benchmark: weights file nothing.safetensors does not exist"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["stages", "--weights", "mine.safetensors", "--height", "64"],
            "--height is of networks with random weights: leave out it or --weights",
        ),
        (["stages", "--batch", "4"], "--batch is of executors, kernels, not of stages"),
        (["table", "--cpu-time"], "--cpu-time is of executors, not of table"),
        (["kernels", "--weights", "w"], "--weights is of table, executors, stages, node, not of"),
    ],
)
def test_what_a_command_does_not_look_at_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--repetitions", "5", "'5', expected a whole number from 6 on"),
        ("--batch", "0", "'0', expected a whole number from 1 on"),
        ("--batches", "0", "'0', expected a whole number from 1 on"),
        ("--height", "0", "'0', expected a whole number from 1 on"),
        ("--width", "wide", "'wide', expected a whole number from 1 on"),
        ("--threads", "-1", "'-1', expected a whole number from 0 on"),
        ("--rates", "0", "'0', expected a number above 0"),
        ("--seconds", "nan", "'nan', expected a number above 0"),
        ("--json", "nowhere/figures.json", "folder nowhere does not exist: make it first"),
        ("--json", "/", "/ is a folder, expected a file"),
    ],
)
def test_bad_values_are_refused_before_the_work(capsys, option, value, message):
    with pytest.raises(SystemExit) as caught:
        main(["stages", f"{option}={value}"])
    assert caught.value.code == 2
    assert f"argument {option}: {message}" in capsys.readouterr().err


def test_auto_takes_what_costs_these_weights_nothing(monkeypatch):
    """As the node does."""
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    monkeypatch.setattr("centernet_ros.backends.has_bfloat16", lambda device: True)
    model = random_model("resnet18_pyramid16", "detection2d", 1)
    options = argparse.Namespace(precision="auto")
    chosen = [
        command_line._open(
            model,
            ModelPreset(
                "detection2d", "resnet18_pyramid16", ("car",), harmless_precisions=harmless
            ),
            CPU,
            options,
        ).backend.precision
        for harmless in ((), ("bfloat16",))
    ]
    assert chosen == ["float32", "bfloat16"]


@pytest.mark.parametrize(
    "error",
    [OSError("cannot write x.xml: disk full"), ImportError("no x"), RuntimeError("no x\ny")],
)
def test_an_executor_that_fails_is_left_out(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(subjects, "open_backend", fail)
    model = random_model("resnet18_pyramid16", "detection2d", 1)
    options = {"repetitions": 2, "clock": time.perf_counter, "names": ["openvino"]}
    baseline, refused = time_executors(model, CPU, (1, 3, 32, 32), ["float32"], **options)
    assert (baseline.label, refused.label) == (BASELINE, "openvino float32")
    assert refused.times is None
    assert refused.reason == str(error).splitlines()[0]


FORGETTING = """
import mmap, sys
from pathlib import Path
import torch
from centernet_ros.benchmark.machine import forget_peak_memory, peak_memory
device = torch.device("cpu")

def take_and_give_back():
    with mmap.mmap(-1, 2**28) as taken:  # 256 MiB from the system itself, past every allocator
        for page in range(0, len(taken), mmap.PAGESIZE):
            taken[page] = 1
    return peak_memory(device)

before = take_and_give_back()
try:
    Path("/proc/self/clear_refs").write_text("5")
except OSError as error:
    sys.exit(f"cannot: {error}")
if peak_memory(device) > before - 200:
    sys.exit("cannot: it is taken and nothing happens")
before = take_and_give_back()
forget_peak_memory(device)
print(before - peak_memory(device))
"""


def test_the_peak_of_one_network_is_not_that_of_the_one_before():
    command = [sys.executable, "-c", FORGETTING]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.stderr.startswith("cannot"):
        pytest.skip(f"this system keeps a process's peak: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 200


WITHOUT = """
import sys
sys.modules["torchvision"] = None  # as where it does not fit PyTorch
from centernet_ros.benchmark.__main__ import main
size = ["--height", "32", "--width", "32", "--repetitions", "6", "--device", "cpu"]
network = ["--backbones", "resnet18_pyramid16"]
assert main(["stages", *network, *size]) == 0
assert main(["executors", *network, *size, "--precisions", "float32"]) == 1
"""


@pytest.mark.slow
def test_only_what_compares_with_torchvisions_operator_needs_torchvision():
    command = [sys.executable, "-c", WITHOUT]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "centernet_ros.benchmark: torchvision cannot be imported (" in said


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
