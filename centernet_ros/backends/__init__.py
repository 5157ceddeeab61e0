"""How a network is executed: `open_backend("auto", model, device)`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from centernet_ros.backends.torch_backend import TorchBackend
from centernet_ros.models.centernet import CenterNet

Backend = Callable[[Tensor], dict[str, Tensor]]
"""(B, 3, H, W) float32 to the raw maps of the last stack, each (B, channels, H/4, W/4)."""

BACKENDS = {"torch": TorchBackend}


def open_backend(
    name: str, model: CenterNet, device: torch.device, precision: str = "float32"
) -> Backend:
    """Make a network ready to run.

    Args:
        name: key of `BACKENDS`, or `auto`.
        model: the network.
        device: where it runs.
        precision: numbers that it computes with: `float32`, `float16` or `bfloat16`.

    Raises:
        ValueError: There is no such backend; the message lists the known ones.
    """
    name = "torch" if name == "auto" else name
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; known: auto, {', '.join(BACKENDS)}")
    return BACKENDS[name](model, device, precision)


def choose_device(name: str) -> torch.device:
    """The device of `auto`, `cpu`, `cuda` or `cuda:N`; `auto` takes a GPU where there is one.

    Raises:
        ValueError: The name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name!r}: PyTorch sees {torch.cuda.device_count()} GPUs")
    return device
