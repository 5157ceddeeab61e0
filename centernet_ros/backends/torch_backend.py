"""Execution by PyTorch itself, on a CPU or a CUDA GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from centernet_ros.models.centernet import CenterNet


class TorchBackend:
    """The network in the memory order that convolutions like best; its maps are float32."""

    name = "torch"

    def __init__(self, model: CenterNet, device: torch.device, precision: str = "float32") -> None:
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device_type = device.type
        self._dtype: torch.dtype = getattr(torch, precision)

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of the last stack."""
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            self._device_type, dtype=self._dtype, enabled=self._dtype != torch.float32
        ):
            maps: dict[str, Tensor] = self.model(batch)[-1]
        return {name: values.float() for name, values in maps.items()}
