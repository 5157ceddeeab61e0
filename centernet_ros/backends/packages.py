"""Packages that not everybody has, imported only where they are used."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any

import torch

from centernet_ros.backends.agreement import BackendError


def import_onnxruntime() -> Any:
    """ONNX Runtime, which must be imported by nothing else."""
    # It reports every session to its makers over the internet, unless told so before it is loaded.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module("onnxruntime")


def import_torchvision(part: str = "ops") -> Any:
    """A part of torchvision, such as its operators.

    Raises:
        BackendError: It is not installed, or does not fit PyTorch.
    """
    known = sys.modules.get(f"torchvision.{part}")
    if known is not None:
        return known
    try:
        found = importlib.import_module(f"torchvision.{part}")
    except (ImportError, RuntimeError) as error:  # the second by one that was built for another
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        raise BackendError(
            f"torchvision cannot be imported ({reason}): install the one that was built for torch "
            f"{torch.__version__}"
        ) from error
    # The import leaves rings of frames, through which everything lives on that callers hold here.
    gc.collect()
    return found
