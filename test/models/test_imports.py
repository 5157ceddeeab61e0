"""What is imported costs every start of a program, and of every worker of a training."""

import subprocess
import sys

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
