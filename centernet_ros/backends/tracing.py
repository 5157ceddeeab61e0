"""What converters need of a network: the maps of its last stack, and an input to follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from centernet_ros.models.centernet import CenterNet


class LastStack(nn.Module):
    """The maps of the last stack in the order of the heads; formats have no dicts."""

    def __init__(self, model: CenterNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model(image)[-1].values())


def example_input(model: CenterNet) -> Tensor:
    """A small network input, whose sizes are all different and none is one."""
    step = model.input_multiple
    return torch.zeros(2, 3, 3 * step, 2 * step)
