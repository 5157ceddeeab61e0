"""Execution by OpenVINO on a CPU."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from centernet_ros.backends.agreement import BackendError, check_agreement, check_input
from centernet_ros.backends.cache import cached, model_key
from centernet_ros.backends.standby import SHAPES
from centernet_ros.backends.torch_backend import TorchBackend
from centernet_ros.backends.tracing import LastStack, example_input
from centernet_ros.models.centernet import CenterNet

PRECISION_HINTS = {"float32": "f32", "bfloat16": "bf16"}

FILE = "network.xml"


class OpenVinoBackend:
    """The network converted once, and compiled for each input shape when it first comes.

    A converted network fits every shape and precision, so that the cache holds one per weights.
    `SHAPES` of them stay compiled; the longest unused goes. What is compiled first is compared with
    PyTorch.
    """

    name = "openvino"

    def __init__(self, model: CenterNet, device: torch.device, precision: str = "float32") -> None:
        """Convert the network, or take it from the cache.

        Raises:
            BackendError: OpenVINO cannot run it here.
        """
        import openvino

        self._core = openvino.Core()
        if device.type != "cpu":
            raise BackendError(f"backend openvino runs on a CPU here, not on {device}: use torch")
        if precision not in PRECISION_HINTS:
            raise BackendError(f"backend openvino computes in {', '.join(PRECISION_HINTS)} only")
        if precision == "bfloat16" and "BF16" not in self._core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise BackendError("precision bfloat16: this processor has none; use float32")
        self.precision = precision
        self._threads = torch.get_num_threads()
        # The network in PyTorch, until its answers were compared.
        self._unchecked: CenterNet | None = model.eval()
        self._names = list(model.heads)
        key = model_key(model, "openvino", openvino.__version__, torch.__version__)
        folder = cached(
            key, lambda folder: save(convert(model), folder / FILE), "the network for openvino"
        )
        self._network = self._core.read_model(folder / FILE)
        self._compiled: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of the last stack; a new shape is compiled first."""
        shape = tuple(batch.shape)
        self.prepare(shape)
        with self._lock:
            self._compiled.move_to_end(shape)
            return self._run(self._compiled[shape], batch)

    def is_ready(self, shape: Sequence[int]) -> bool:
        """Whether inputs of a shape run at once."""
        return tuple(shape) in self._compiled

    def prepare(self, shape: Sequence[int]) -> None:
        """Compile for inputs of a shape.

        Raises:
            BackendError: The answer differs from PyTorch's; the message has the figures.
        """
        shape = tuple(shape)
        if shape in self._compiled:
            return
        request = self._compile(shape)
        if self._unchecked is not None:
            noise = check_input(shape)
            expected = TorchBackend(self._unchecked, noise.device)(noise)
            half = self.precision != "float32"
            rounded = (
                TorchBackend(self._unchecked, noise.device, self.precision)(noise) if half else None
            )
            got = self._run(request, noise)
            check_agreement(self.name, self.precision, got, expected, rounded)
            self._unchecked = None
        with self._lock:
            self._compiled[shape] = request
            if len(self._compiled) > SHAPES:
                self._compiled.popitem(last=False)

    def _compile(self, shape: tuple[int, ...]) -> Any:
        network = self._network.clone()
        network.reshape(list(shape))
        options = {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[self.precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._threads,
        }
        return self._core.compile_model(network, "CPU", options).create_infer_request()

    def _run(self, request: Any, batch: Tensor) -> dict[str, Tensor]:
        values = request.infer([batch.contiguous().numpy()], share_inputs=True)
        return {
            name: torch.from_numpy(value)
            for name, value in zip(self._names, values.values(), strict=True)
        }


def save(network: Any, path: Path) -> None:
    """Write an OpenVINO model as .xml, with its weights beside it as .bin.

    Raises:
        OSError: It cannot be written, as where the disk is full.
    """
    import openvino

    try:
        openvino.save_model(network, path, compress_to_fp16=False)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise OSError(f"cannot write {path} ({reason}): is the disk full?") from error


def convert(model: CenterNet) -> Any:
    """The network as an OpenVINO model of any input shape.

    Input `image`; outputs have the names of the maps.
    """
    # Not `openvino.convert_model`, which reports every call to its makers over the internet.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = example_input(model)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch prefers another format, OpenVINO this one
        network = LastStack(model.eval())
        traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        front_end = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # must live until the conversion is done
        converted = front_end.convert(front_end.load(decoder))
    converted.validate_nodes_and_infer_types()
    converted.inputs[0].get_tensor().set_names({"image"})
    converted.reshape([-1, 3, -1, -1])
    for output, name in zip(converted.outputs, model.heads, strict=True):
        output.get_tensor().set_names({name})
    for layer in converted.get_ops():
        if layer.get_type_name() == "GroupConvolutionBackpropData":
            # DLA's bilinear up-sampling: OpenVINO's bfloat16 kernel is 20 times slower than that
            # of float32. What is written here counts once the network was saved and read again.
            layer.get_rt_info()["precise_0"] = ""
    return converted
