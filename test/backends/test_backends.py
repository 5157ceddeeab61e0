"""Choosing a device and an executor, and what PyTorch's executor promises."""

import gc
import weakref

import pytest
import torch
from torch import nn

from centernet_ros.backends import (
    BACKENDS,
    BackendError,
    choose_backend,
    choose_device,
    choose_precision,
    open_backend,
)
from centernet_ros.models import build_model

CPU = torch.device("cpu")


class TwoStacks(nn.Module):
    """Answers its input twice; the second time doubled."""

    input_multiple = 32

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.heads = nn.ModuleDict({"heatmap": nn.Identity()})

    def forward(self, image):
        assert not self.training
        return [{"heatmap": self.norm(image)}, {"heatmap": 2 * self.norm(image)}]


def test_device_by_name():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_auto_takes_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["tpu", "", "meta", "cuda:x", "cuda:-1", "mps", "GPU"])
def test_unknown_device_lists_the_known(name):
    with pytest.raises(
        ValueError, match=f"unknown device '{name}'; known: auto, cpu, cuda, cuda:N"
    ):
        choose_device(name)


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (0, "cuda:0"), (2, "cuda:2")])
def test_absent_gpu_is_refused(monkeypatch, count, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(ValueError, match=f"device '{name}': PyTorch sees {count} GPUs"):
        choose_device(name)


def test_present_gpu_is_chosen(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")


def test_unknown_backend_lists_the_known():
    known = "unknown backend 'tensorflow'; known: auto, torch, openvino, onnxruntime"
    with pytest.raises(ValueError, match=known):
        open_backend("tensorflow", TwoStacks(), CPU)


def test_unknown_precision_lists_the_known():
    known = "unknown precision 'int8'; known: auto, float32, bfloat16, float16"
    with pytest.raises(ValueError, match=known):
        open_backend("auto", TwoStacks(), CPU, "int8")


@pytest.mark.parametrize("name", ["auto", *BACKENDS])
def test_float16_is_for_gpus(name):
    with pytest.raises(BackendError, match="float16 is for GPUs: use float32 or bfloat16"):
        open_backend(name, TwoStacks(), CPU, "float16")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_absent_packages_are_named(monkeypatch, name):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(BackendError, match=f"{name} is not installed: pip install {name}"):
        open_backend(name, TwoStacks(), CPU)


def test_auto_takes_what_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    assert open_backend("auto", TwoStacks(), CPU).name == "torch"
    monkeypatch.setattr("importlib.util.find_spec", lambda package: package)
    assert choose_backend(CPU) == "openvino"
    assert choose_backend(torch.device("cuda")) == "torch"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ImportError("libgomp.so.1: cannot open shared object file"), "pip install openvino, in"),
        (RuntimeError("operator torchvision::nms does not exist"), "or use another backend"),
    ],
)
def test_what_cannot_be_imported_is_one_line(monkeypatch, error, remedy):
    pytest.importorskip("openvino")

    def fail(*_):
        raise error

    monkeypatch.setattr("centernet_ros.backends.openvino_backend.OpenVinoBackend", fail)
    with pytest.raises(BackendError) as caught:
        open_backend("openvino", TwoStacks(), CPU)
    assert str(caught.value).startswith(f"backend openvino cannot be loaded ({error}): ")
    assert remedy in str(caught.value)


def test_errors_of_a_gpu_stay_what_they_are(monkeypatch):
    def fail(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("centernet_ros.backends.TorchBackend", fail)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        open_backend("auto", TwoStacks(), CPU)


@pytest.mark.parametrize("name", ["auto", "torch"])
def test_last_stack_answers(name):
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    maps = open_backend(name, TwoStacks(), CPU)(images)
    torch.testing.assert_close(maps["heatmap"], 2 * images, rtol=1e-4, atol=1e-4)


def test_bfloat16_rounds(small, images, agree):
    exact = open_backend("torch", small, CPU, "float32")(images)
    half = open_backend("torch", small, CPU, "bfloat16")(images)
    assert all(value.dtype == torch.float32 for value in half.values())
    assert not torch.equal(half["size"], exact["size"])
    agree(half, exact, 0.05)


def test_running_changes_nothing():
    """In evaluation mode and without a graph, also when the network comes from training."""
    model = TwoStacks().train()
    before = model.norm.running_mean.clone()
    backend = open_backend("torch", model, CPU)
    first, second = (backend(torch.ones(1, 3, 4, 4))["heatmap"] for _ in range(2))
    assert torch.equal(model.norm.running_mean, before)
    assert torch.equal(first, second)
    assert not first.requires_grad


def test_backend_equals_the_network():
    torch.manual_seed(0)
    model = build_model("resnet18", "detection2d", 2).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = model(images)[-1]
    maps = open_backend("torch", model, CPU)(images)
    assert maps.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(maps[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("flags", "harmless", "chosen"),
    [
        ("avx512f avx512_bf16", ("bfloat16",), "bfloat16"),
        ("amx_bf16", ("float16", "bfloat16"), "bfloat16"),
        ("avx512f", ("bfloat16",), "float32"),
        ("avx512_bf16", ("float16",), "float32"),
        ("avx512_bf16", (), "float32"),
    ],
)
def test_auto_takes_half_precision_where_it_is_fast_and_harmless(
    monkeypatch, flags, harmless, chosen
):
    cpuinfo = f"processor : 0\nflags : fpu {flags} sse2\n"
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: cpuinfo)
    assert choose_precision(CPU, harmless, "openvino") == chosen
    assert choose_precision(CPU, harmless, "onnxruntime") == "float32"
    assert open_backend("torch", TwoStacks(), CPU, "auto", harmless).precision == chosen
    assert open_backend("torch", TwoStacks(), CPU, "float32", harmless).precision == "float32"


@pytest.mark.parametrize(
    ("supported", "harmless", "chosen"),
    [
        (True, ("bfloat16", "float16"), "float16"),
        (False, ("bfloat16", "float16"), "float16"),
        (True, ("bfloat16",), "bfloat16"),
        (False, ("bfloat16",), "float32"),
        (True, (), "float32"),
    ],
)
def test_every_gpu_has_float16_and_new_ones_bfloat16(monkeypatch, supported, harmless, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert choose_precision(torch.device("cuda"), harmless, "torch") == chosen


@pytest.mark.parametrize("backend", ["torch", "openvino", "onnxruntime"])
def test_a_network_leaves_with_the_last_who_held_it(backend):
    """Memory, a GPU's above all, must not wait for the collector of rings."""
    if backend != "torch":
        pytest.importorskip(backend)
    model = build_model("resnet18_pyramid16", "detection2d", 1)
    gc.disable()
    try:
        executor = open_backend(backend, model, CPU, "float32")
        executor(torch.zeros(1, 3, 32, 32))
        left = weakref.ref(executor)
        del executor
        assert left() is None
    finally:
        gc.enable()
