"""What is imported costs every start of a program, and of every worker of a training."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules["torchvision"] = None  # as where it does not fit PyTorch
import torch
from centernet_ros.backends import TorchBackend
from centernet_ros.models import build_model
for backbone in ("resnet18", "dla34"):
    model = build_model(backbone, "detection2d", 2)
    side = model.input_multiple
    TorchBackend(model, torch.device("cpu"))(torch.zeros(1, 3, side, side))
assert "torch._dynamo" not in sys.modules
"""


def test_networks_run_on_a_cpu_without_torchvision_and_pytorchs_compiler():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


EXPORT = """
import sys
from centernet_ros.backends.onnxruntime_backend import convert
from centernet_ros.models import build_model
assert "torchvision" not in sys.modules
convert(build_model("resnet18", "detection2d", 2).eval(), (64, 64))
"""


@pytest.mark.slow
def test_a_program_that_has_not_imported_torchvision_exports_to_onnx():
    pytest.importorskip("onnxscript")
    subprocess.run([sys.executable, "-c", EXPORT], check=True)
