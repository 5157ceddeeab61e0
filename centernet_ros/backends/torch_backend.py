"""Execution by PyTorch itself, on a CPU or a CUDA GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from centernet_ros.models.centernet import CenterNet


class TorchBackend:
    """The network in float32, in the memory order that convolutions like best."""

    name = "torch"

    def __init__(self, model: CenterNet, device: torch.device) -> None:
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of the last stack."""
        maps: dict[str, Tensor] = self.model(batch.contiguous(memory_format=torch.channels_last))[
            -1
        ]
        return maps
