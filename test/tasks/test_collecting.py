"""What a GPU does at once looks at no value and takes none from the CPU: tried on no device."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from centernet_ros.detector import _collect
from centernet_ros.structures import Detections2D, Detections3D, Poses, View
from centernet_ros.tasks import TASKS, build_task

EMPTY = {
    "detection2d": Detections2D.empty(),
    "detection3d": Detections3D.empty(),
    "pose": Poses.empty(),
}


class Recording(TorchDispatchMode):
    """Refuses what a CUDA graph would: numbers read, and tensors of the CPU among the arguments."""

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        for value in tree_leaves((arguments, options)):
            if isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.dim() > 0:
                raise RuntimeError(f"{operation} takes a tensor of the CPU")
        if "_local_scalar_dense" in str(operation) or "nonzero" in str(operation):
            raise RuntimeError(f"{operation} looks at a value")
        return operation(*arguments, **(options or {}))


@pytest.fixture(autouse=True)
def _no_copies(monkeypatch):
    new_tensor = torch.Tensor.new_tensor

    def copied(values, *arguments, **options):
        if values.device.type != "cpu":
            raise RuntimeError("new_tensor copies from the CPU")
        return new_tensor(values, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "new_tensor", copied)


@pytest.mark.parametrize("name", TASKS)
def test_losses_wait_for_nothing(name):
    view = View((64, 96), (64, 96), torch.eye(2, 3, dtype=torch.float64))
    task = build_task(name, 1 if name == "pose" else 3)
    targets = task.encode(EMPTY[name], view, view.grid_size)
    there = {key: value.unsqueeze(0).to("meta") for key, value in targets.items()}
    maps = {head.name: torch.zeros(1, head.channels, 16, 24, device="meta") for head in task.heads}
    with Recording():
        loss, parts = task.total_loss([maps], there, task.counts(there))
    assert loss.shape == ()
    assert set(parts) == {head.name for head in task.heads}


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", TASKS)
def test_what_is_collected_can_be_recorded(name, flip):
    task = build_task(name, 1 if name == "pose" else 3)
    maps = {head.name: torch.zeros(2, head.channels, 16, 24, device="meta") for head in task.heads}
    answers = [*maps.values()] * (1 + flip)
    with Recording():
        found = _collect(task, tuple(maps), 100, *answers)
    assert {values.shape[:2] for values in found.values()} == {(2, 100)}
