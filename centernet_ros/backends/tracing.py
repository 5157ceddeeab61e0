"""What converters need of a network: the maps of its last stack, and an input to follow."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from centernet_ros.models.centernet import CenterNet

STEP = 32
"""Multiple of the sides of an input, for networks that say nothing of it."""


class LastStack(nn.Module):
    """The maps of the last stack in the order of the heads; formats have no dicts."""

    def __init__(self, model: CenterNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model(image)[-1].values())


def example_input(model: CenterNet) -> Tensor:
    """A small network input, whose sizes are all different and none is one."""
    step = input_step(model)
    return torch.zeros(2, 3, 3 * step, 2 * step)


def input_step(model: CenterNet) -> int:
    """What height and width of an input are multiples of."""
    return int(getattr(model, "input_multiple", STEP))


@torch.inference_mode()
def map_names(model: CenterNet) -> list[str]:
    """Names of the network's maps, in their order."""
    return list(cast("dict[str, Tensor]", model(example_input(model))[-1]))
