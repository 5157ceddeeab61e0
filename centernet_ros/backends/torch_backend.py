"""Execution by PyTorch itself, on a CPU or a CUDA GPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from centernet_ros.backends.agreement import (
    BackendError,
    check_agreement,
    check_finite,
    check_input,
)
from centernet_ros.backends.cache import say
from centernet_ros.backends.cuda_graphs import RecordedRuns, Run, record_cuda_graph
from centernet_ros.backends.folding import fold_batch_norm
from centernet_ros.backends.fusing import fuse
from centernet_ros.backends.tracing import example_input
from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.deform_conv import fused_kernels


class TorchBackend:
    """The network in the memory order that convolutions like best; its maps are float32.

    Batch normalisation is folded into the convolutions. On a CPU half precision is that of
    autocast; on a GPU the weights themselves are converted, and the kernels run as a CUDA graph.
    """

    name = "torch"

    def __init__(self, model: CenterNet, device: torch.device, precision: str = "float32") -> None:
        """Convert the network.

        Raises:
            BackendError: It leaves the range of half precision, on a GPU.
        """
        self.precision = precision
        self._dtype: torch.dtype = getattr(torch, precision)
        network: nn.Module = fold_batch_norm(model)
        if device.type == "cuda":
            network = network.to(device, self._dtype)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = _fused(model, network, precision) if device.type == "cuda" else network
        # No method of this object: in a ring of references the network would outlive the last one.
        self._run: Run = partial(_compute, self.model, self._dtype)
        self._recorded: RecordedRuns | None = None
        if device.type == "cuda":
            self._recorded = RecordedRuns(self._run, record_cuda_graph)
            self._run = self._recorded

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of the last stack."""
        return self._run(batch)

    def is_ready(self, shape: Sequence[int]) -> bool:
        """Whether inputs of a shape run at their full speed at once."""
        return self._recorded is None or self._recorded.is_recorded(shape)

    def prepare(self, shape: Sequence[int]) -> None:
        """Get ready for inputs of a shape: two runs, of which a GPU records the second."""
        if not self.is_ready(shape):
            noise = torch.zeros(*shape, device=next(self.model.parameters()).device)
            self(noise)
            self(noise)


@torch.inference_mode()
def _fused(model: nn.Module, folded: nn.Module, precision: str) -> nn.Module:
    """A folded network on a GPU with fewer kernels, if it then answers what PyTorch answers."""
    weights = next(folded.parameters())
    kernels = None
    if weights.dtype != torch.float32:
        kernels = fused_kernels(weights.device, weights.dtype)
    network = fuse(cast(CenterNet, folded), kernels)
    noise = check_input(example_input(cast(CenterNet, model)).shape).to(weights.device)
    answers = [
        _compute(own, dtype, noise)
        for own, dtype in (
            (network, weights.dtype),
            (copy.deepcopy(model).eval().to(weights.device), torch.float32),
            (folded, weights.dtype),
        )
    ]
    if weights.dtype != torch.float32:
        check_finite(precision, answers[2])
    try:
        check_agreement("fused kernels", precision, *answers)
    except BackendError as error:
        say(f"{error}; PyTorch's kernels are used, which are slower")
        return folded
    return network


def _compute(model: nn.Module, dtype: torch.dtype, batch: Tensor) -> dict[str, Tensor]:
    batch = batch.contiguous(memory_format=torch.channels_last)
    if batch.is_cuda:
        maps: dict[str, Tensor] = model(batch.to(dtype))[-1]
    else:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            maps = model(batch)[-1]
    return {name: values.float() for name, values in maps.items()}
