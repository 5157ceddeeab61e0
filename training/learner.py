"""What a run changes step by step: weights, optimiser, and what belongs to them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from centernet_ros.models.centernet import CenterNet
from training.config import OptimiserConfig
from training.distributed import ALONE, World, synchronise_statistics
from training.strict import ConfigError


@dataclass(frozen=True, eq=False)
class Learner:
    """A network in training.

    Attributes:
        model: the network.
        optimiser: of its weights.
        scaler: keeps the gradients of `float16` from vanishing; idle with other precisions.
        average: running mean of the weights, where the run keeps one.
    """

    model: CenterNet
    optimiser: torch.optim.Optimizer
    scaler: GradScaler
    average: CenterNet | None

    @property
    def result(self) -> CenterNet:
        """The network that is measured and written."""
        return self.model if self.average is None else self.average

    def state(self) -> dict[str, Any]:
        """Everything that decides how the training goes on."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` of a learner with the same configuration.

        Raises:
            KeyError: Something is missing in it.
            RuntimeError: It belongs to another network.
        """
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def start_learner(
    model: CenterNet, config: OptimiserConfig, device: torch.device, world: World = ALONE
) -> Learner:
    """A learner that starts from a network's weights, on a device.

    Raises:
        ConfigError: The device cannot compute in the chosen precision.
    """
    if config.precision == "float16" and device.type == "cpu":
        raise ConfigError("optimiser.precision: float16 is for GPUs; choose bfloat16 on a CPU")
    dtype = torch.float64 if config.precision == "float64" else torch.float32
    model = model.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval() if config.average else None
    if world.size > 1 and config.shared_statistics:
        synchronise_statistics(model, device)
    return Learner(
        model,
        # On a GPU one kernel for all weights instead of some hundred.
        torch.optim.Adam(model.parameters(), config.learning_rate, fused=device.type == "cuda"),
        GradScaler(device.type, enabled=config.precision == "float16"),
        average,
    )


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move a running mean of weights and statistics towards those of a step (from 1).

    The first steps count more than the decay would let them, so that the start is forgotten.
    """
    share = 1 - min(decay, step / (step + 10))
    means, current = average.state_dict(), model.state_dict()
    moving = [name for name, mean in means.items() if mean.is_floating_point()]
    torch._foreach_lerp_(
        [means[name] for name in moving], [current[name] for name in moving], share
    )
    for name in means.keys() - set(moving):
        means[name].copy_(current[name])
