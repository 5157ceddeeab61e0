"""OpenVINO and ONNX Runtime answer what PyTorch answers, and are refused when they do not."""

import pytest
import torch

from centernet_ros.backends import BackendError, open_backend
from centernet_ros.models import BACKBONES
from centernet_ros.tasks import TASKS

CPU = torch.device("cpu")
PACKAGES = {"openvino": ["openvino"], "onnxruntime": ["onnxruntime", "onnx", "onnxscript"]}


@pytest.fixture(params=PACKAGES)
def name(request):
    for package in PACKAGES[request.param]:
        pytest.importorskip(package, reason="an optional executor")
    return request.param


def test_answers_inputs_of_any_shape(name, small, images, agree):
    backend = open_backend(name, small, CPU)
    for batch in (images, images[:1], torch.randn(1, 3, 8, 64), images + 1):
        with torch.no_grad():
            agree(backend(batch), small(batch)[-1])
    assert (backend.name, backend.precision) == (name, "float32")


def test_answers_belong_to_the_caller(name, small, images):
    """The next image must not overwrite the maps of this one."""
    backend = open_backend(name, small, CPU)
    first = backend(images)
    kept = {key: value.clone() for key, value in first.items()}
    backend(images + 1)
    assert all(torch.equal(first[key], kept[key]) for key in kept)


def test_memory_order_does_not_matter(name, small, images, agree):
    backend = open_backend(name, small, CPU)
    agree(backend(images.contiguous(memory_format=torch.channels_last)), backend(images))


def test_second_start_takes_the_cache_unless_it_is_damaged(
    name, small, images, capsys, cache, agree
):
    first = open_backend(name, small, CPU)(images)
    assert f"converting the network for {name}, once" in capsys.readouterr().err
    agree(open_backend(name, small, CPU)(images), first)
    assert capsys.readouterr().err == ""
    for file in cache.rglob("network.*"):
        file.write_bytes(file.read_bytes()[:-7])
    agree(open_backend(name, small, CPU)(images), first)
    assert "converting" in capsys.readouterr().err


def test_other_weights_are_another_network(small, cache):
    pytest.importorskip("openvino")
    for _ in range(2):
        open_backend("openvino", small, CPU)
        small.last.weight.data *= 2
    assert len(list(cache.iterdir())) == 2


def test_other_answers_are_refused_with_the_figures(name, small, images):
    backend = open_backend(name, small, CPU)
    small.last.weight.data *= 1.01
    with pytest.raises(BackendError, match=rf"{name} in float32 differs .* heatmap \d.*size \d"):
        backend(images)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_gpus_are_left_to_pytorch(name, small, device):
    with pytest.raises(BackendError, match=f"{name} runs on a CPU.*, not on {device}: use torch"):
        open_backend(name, small, torch.device(device))


def test_openvino_in_bfloat16(small, images, agree):
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(BackendError, match="this processor has none; use float32"):
            open_backend("openvino", small, CPU, "bfloat16")
        return
    half = open_backend("openvino", small, CPU, "bfloat16")(images)
    exact = open_backend("torch", small, CPU)(images)
    agree(half, exact, 0.05)
    assert not torch.equal(half["size"], exact["size"])


def test_openvino_forgets_the_oldest_shape(small):
    pytest.importorskip("openvino")
    from centernet_ros.backends.openvino_backend import SHAPES

    backend = open_backend("openvino", small, CPU)
    shapes = [(1, 3, 8, 8 * width) for width in range(1, SHAPES + 2)]
    for shape in shapes:
        backend(torch.zeros(shape))
    assert [backend.is_ready(shape) for shape in shapes] == [False] + [True] * SHAPES
    backend(torch.zeros(shapes[1]))
    backend(torch.zeros(shapes[0]))
    assert [backend.is_ready(shape) for shape in shapes[:3]] == [True, True, False]


def test_a_full_disk_is_an_error_of_the_disk(small, monkeypatch, cache):
    openvino = pytest.importorskip("openvino")

    def fail(*_, **__):
        raise RuntimeError("Check 'bin_file' failed:\nCan't write to network.bin\n")

    monkeypatch.setattr(openvino, "save_model", fail)
    with pytest.raises(OSError, match=r"cannot write .*network\.xml \(Can't write to network"):
        open_backend("openvino", small, CPU)
    assert list(cache.iterdir()) == []


def test_openvino_up_samples_in_float32(small, cache):
    openvino = pytest.importorskip("openvino")
    open_backend("openvino", small, CPU)
    (file,) = cache.rglob("network.xml")
    kept = [
        layer.get_type_name()
        for layer in openvino.Core().read_model(file).get_ops()
        if layer.get_rt_info()
        and any("PrecisionConversion" in key or "precise" in key for key in layer.get_rt_info())
    ]
    assert kept == ["GroupConvolutionBackpropData"]


def test_onnxruntime_has_no_half_precision(small):
    for package in PACKAGES["onnxruntime"]:
        pytest.importorskip(package, reason="an optional executor")
    with pytest.raises(BackendError, match="computes in float32, not in bfloat16"):
        open_backend("onnxruntime", small, CPU, "bfloat16")


def test_one_real_network(make_model, agree):
    """The demo's; the slow tests have all others."""
    pytest.importorskip("openvino")
    model = make_model("resnet18_pyramid")
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        agree(open_backend("openvino", model, CPU)(images), model(images)[-1])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_and_task(name, make_model, backbone, task, agree):
    model = make_model(backbone, task)
    step = model.input_multiple
    batch = torch.randn(1, 3, step, 2 * step, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        agree(open_backend(name, model, CPU)(batch), model(batch)[-1])
