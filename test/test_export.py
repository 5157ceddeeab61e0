"""Exported files answer what PyTorch answers, say what they are, or are not written at all."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from centernet_ros import export as module
from centernet_ros.backends import BackendError
from centernet_ros.checkpoint import save_checkpoint
from centernet_ros.detector import Detector
from centernet_ros.export import export, main, read_preset, run_file
from centernet_ros.models import BACKBONES, build_model
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.tasks import TASKS
from training.data.street_samples import StreetSamples

ROOT = Path(__file__).parents[1]
KINDS = {".onnx": ["onnx", "onnxscript", "onnxruntime"], ".xml": ["openvino"]}


@pytest.fixture(params=KINDS)
def kind(request):
    for package in KINDS[request.param]:
        pytest.importorskip(package, reason="an optional executor")
    return request.param


def network(backbone="resnet18_pyramid", task="detection2d", **options):
    torch.manual_seed(0)
    model = build_model(backbone, task, 3).eval()
    step = model.input_multiple
    options = {"input_size": (step, 2 * step), "pad_to": step, **options}
    return model, ModelPreset(task, backbone, ("a", "b", "c"), **options)


def test_command(kind, tmp_path, capsys):
    model, preset = network()
    save_checkpoint(tmp_path / "w.safetensors", model, preset)
    out = tmp_path / "deep" / f"network{kind}"
    assert main([str(tmp_path / "w.safetensors"), str(out)]) == 0
    assert f"{out}: agrees with PyTorch to " in capsys.readouterr().out
    assert read_preset(out) == preset
    # Any shape (which an IR is given first), and under the names of the heads.
    batch = torch.randn(2, 3, 96, 32)
    got = run_file(out, batch)
    with torch.no_grad():
        expected = model(batch)[-1]
    assert list(got) == list(expected)
    for name, value in expected.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-4 * scale)
    assert {path.suffix for path in out.parent.iterdir()} == {
        ".onnx": {kind},
        ".xml": {kind, ".bin"},
    }[kind]


@pytest.mark.slow
def test_the_documented_program_finds_what_the_detector_does(tmp_path, capsys):
    for package in KINDS[".onnx"]:
        pytest.importorskip(package, reason="an optional executor")
    weights = ROOT / "weights/street_detection2d.safetensors"
    assert main([str(weights), str(tmp_path / "network.onnx")]) == 0
    image = StreetSamples(1, 1, "detection2d")[0].image
    cv2.imwrite(str(tmp_path / "picture.png"), image)
    (program,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL
    )
    for name in ("network.onnx", "picture.png"):
        program = program.replace(name, str(tmp_path / name))
    found = {}
    exec(program, found)
    expected = Detector.from_checkpoint(weights, "cpu", "torch", score_threshold=0.3)(image)
    assert len(expected) > 2
    order = np.argsort(-found["scores"][found["labels"], found["rows"], found["columns"]])
    assert found["labels"][order].tolist() == expected.labels.tolist()
    np.testing.assert_allclose(found["boxes"].reshape(-1, 4)[order], expected.boxes, atol=0.01)
    assert "car" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_and_task(kind, tmp_path, backbone, task):
    model, preset = network(backbone, task)
    assert export(model, preset, tmp_path / f"x{kind}") <= 1e-4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backbone", ["resnet18", "dla34"])
def test_full_size(kind, tmp_path, backbone):
    model, preset = network(backbone, input_size=(512, 512))
    assert export(model, preset, tmp_path / f"x{kind}", (512, 512)) <= 1e-4


def test_other_answers_are_not_written(tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="an optional executor")
    model, preset = network(fit=Fit.KEEP)
    (tmp_path / "x.xml").write_text("what was there")

    def wrong(path, batch):
        return {name: 1.01 * value for name, value in run_file(path, batch).items()}

    monkeypatch.setattr(module, "run_file", wrong)
    with pytest.raises(
        BackendError, match=r"x\.xml in float32 differs from PyTorch by heatmap 1\.0e-02"
    ):
        export(model, preset, tmp_path / "x.xml", (32, 64))
    assert [path.name for path in tmp_path.iterdir()] == ["x.xml"]
    assert (tmp_path / "x.xml").read_text() == "what was there"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.pt"], "x.pt: unknown kind of file; known: .onnx, .xml"),
        (["x.xml", "--size", "100x64"], "size is 100x64: height and width must be multiples of 32"),
        (["x.xml", "--size", "big"], "size is 'big', expected HEIGHTxWIDTH such as 512x512"),
    ],
)
def test_bad_requests_are_refused(tmp_path, capsys, arguments, message):
    pytest.importorskip("openvino", reason="an optional executor")
    model, preset = network()
    save_checkpoint(tmp_path / "w.safetensors", model, preset)
    out, *rest = arguments
    assert main([str(tmp_path / "w.safetensors"), str(tmp_path / out), *rest]) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_absent_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(BackendError, match=r"xml needs .* not installed: pip install openvino"):
        export(*network(), tmp_path / "x.xml")
