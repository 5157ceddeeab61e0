"""How a network is executed: `open_backend("auto", model, device)`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor

from centernet_ros.backends.agreement import BackendError
from centernet_ros.backends.standby import Executor, Standby
from centernet_ros.backends.torch_backend import TorchBackend
from centernet_ros.models.centernet import CenterNet

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "Backend",
    "BackendError",
    "Executor",
    "Standby",
    "TorchBackend",
    "choose_backend",
    "choose_device",
    "choose_precision",
    "has_bfloat16",
    "missing_packages",
    "open_backend",
]

Backend = Callable[[Tensor], dict[str, Tensor]]
"""(B, 3, H, W) float32 to the raw maps of the last stack, each (B, channels, H/4, W/4)."""

BACKENDS: dict[str, tuple[str, ...]] = {
    "torch": (),
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
}
"""Executors, with the optional packages that each needs."""

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def open_backend(
    name: str,
    model: CenterNet,
    device: torch.device,
    precision: str = "auto",
    harmless: Collection[str] = (),
) -> Executor:
    """Make a network ready to run.

    Args:
        name: key of `BACKENDS`, or `auto`: the fastest that is installed. A conversion that takes
            its time happens in the background then, and PyTorch serves meanwhile.
        model: the network.
        device: where it runs.
        precision: numbers that it computes with: `float32`, `float16`, `bfloat16`; `auto` is the
            fastest of `float32` and those that are harmless.
        harmless: the preset's `harmless_precisions`.

    Raises:
        ValueError: There is no such backend or precision, or it cannot be used on this machine;
            the message says what can.
    """
    if name not in ("auto", *BACKENDS):
        raise ValueError(f"unknown backend {name!r}; known: auto, {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    chosen = choose_backend(device) if name == "auto" else name
    if precision == "auto":
        precision = choose_precision(device, harmless, chosen)
    if device.type == "cpu" and precision == "float16":
        raise BackendError("precision float16 is for GPUs: use float32 or bfloat16 on a CPU")
    if name != "auto":
        return _open(name, model, device, precision)
    present = _open("torch", model, device, precision)
    if chosen == "torch":
        return present
    return Standby(present, chosen, lambda: _open(chosen, model, device, precision))


def choose_backend(device: torch.device) -> str:
    """The fastest backend that is installed, as measured in docs/benchmarks."""
    if device.type == "cpu" and not missing_packages("openvino"):
        return "openvino"
    return "torch"


def choose_precision(device: torch.device, harmless: Collection[str], backend: str) -> str:
    """The fastest of `float32` and the precisions that cost these weights nothing.

    Args:
        device: where the network runs.
        harmless: the preset's `harmless_precisions`.
        backend: key of `BACKENDS`.
    """
    if backend == "onnxruntime":
        return "float32"  # it computes in nothing else
    if device.type != "cpu" and "float16" in harmless:
        return "float16"
    return "bfloat16" if "bfloat16" in harmless and has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16; a processor that does not is far slower in it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return not words.isdisjoint({"avx512_bf16", "amx_bf16"})


def missing_packages(name: str) -> list[str]:
    """Packages of a backend, a key of `BACKENDS`, that are not installed."""
    return [package for package in BACKENDS[name] if importlib.util.find_spec(package) is None]


def _open(name: str, model: CenterNet, device: torch.device, precision: str) -> Executor:
    if missing := missing_packages(name):
        raise BackendError(f"backend {name} is not installed: pip install {' '.join(missing)}")
    try:
        return _opened(name, model, device, precision)
    except (ImportError, RuntimeError) as error:
        # The second by a torchvision that was built for another PyTorch; else it is the GPU's.
        if isinstance(error, RuntimeError) and "torchvision" not in str(error):
            raise
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        packages = " ".join(BACKENDS[name] or ["torchvision"])
        raise BackendError(
            f"backend {name} cannot be loaded ({reason}): pip install {packages}, in versions that "
            f"fit torch {torch.__version__}, or use another backend"
        ) from error


def _opened(name: str, model: CenterNet, device: torch.device, precision: str) -> Executor:
    if name == "openvino":
        from centernet_ros.backends.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(model, device, precision)
    if name == "onnxruntime":
        from centernet_ros.backends.onnxruntime_backend import OnnxRuntimeBackend

        return OnnxRuntimeBackend(model, device, precision)
    return TorchBackend(model, device, precision)


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
