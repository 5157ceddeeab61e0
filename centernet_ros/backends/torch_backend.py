"""Execution by PyTorch itself, on a CPU or a CUDA GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from centernet_ros.backends.folding import fold_batch_norm
from centernet_ros.models.centernet import CenterNet


class TorchBackend:
    """The network in the memory order that convolutions like best; its maps are float32.

    On a CPU the batch normalisation is folded into the convolutions. Half precision is that of
    autocast: sums stay float32.
    """

    name = "torch"

    def __init__(self, model: CenterNet, device: torch.device, precision: str = "float32") -> None:
        self.precision = precision
        network = fold_batch_norm(model) if device.type == "cpu" else model.eval().to(device)
        self.model = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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

    def is_ready(self, shape: Sequence[int]) -> bool:
        """Whether inputs of a shape run at once: always."""
        return True

    def prepare(self, shape: Sequence[int]) -> None:
        """Get ready for inputs of a shape: nothing is to do."""
