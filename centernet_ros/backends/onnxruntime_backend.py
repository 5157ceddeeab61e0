"""Execution by ONNX Runtime on a CPU, and the conversion to ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim

from centernet_ros.backends.agreement import BackendError, check_agreement, check_input
from centernet_ros.backends.cache import cached, model_key
from centernet_ros.backends.packages import import_onnxruntime, import_torchvision
from centernet_ros.backends.torch_backend import TorchBackend
from centernet_ros.backends.tracing import LastStack, example_input
from centernet_ros.models.centernet import CenterNet

OPSET = 20
"""Of ONNX; 19 brought the deformable convolution."""

FILE = "network.onnx"


class OnnxRuntimeBackend:
    """The network converted to ONNX once; it runs inputs of any shape."""

    name = "onnxruntime"

    def __init__(self, model: CenterNet, device: torch.device, precision: str = "float32") -> None:
        """Convert the network, or take it from the cache.

        Raises:
            BackendError: ONNX Runtime cannot run it here.
        """
        onnxruntime = import_onnxruntime()
        if device.type != "cpu":
            raise BackendError(f"backend onnxruntime runs on a CPU, not on {device}: use torch")
        if precision != "float32":
            raise BackendError(f"backend onnxruntime computes in float32, not in {precision}")
        self.precision = precision
        # The network in PyTorch, until its answers were compared.
        self._unchecked: CenterNet | None = model.eval()
        self._names = list(model.heads)
        key = model_key(model, "onnxruntime", onnxruntime.__version__, torch.__version__)
        folder = cached(
            key, lambda folder: convert(model).save(folder / FILE), "the network for onnxruntime"
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(
                folder / FILE, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own types are not public
            raise BackendError(
                f"onnxruntime {onnxruntime.__version__} refuses the network "
                f"({str(error).splitlines()[0]}): use backend torch"
            ) from None

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of the last stack."""
        self.prepare(batch.shape)
        return self._run(batch)

    def is_ready(self, shape: Sequence[int]) -> bool:
        """Whether inputs of a shape run at once."""
        return self._unchecked is None

    def prepare(self, shape: Sequence[int]) -> None:
        """Compare with PyTorch, the first time.

        Raises:
            BackendError: The answer differs; the message has the figures.
        """
        if self._unchecked is None:
            return
        noise = check_input(shape)
        expected = TorchBackend(self._unchecked, noise.device)(noise)
        check_agreement(self.name, self.precision, self._run(noise), expected)
        self._unchecked = None

    def _run(self, batch: Tensor) -> dict[str, Tensor]:
        values = self._session.run(self._names, {"image": batch.contiguous().numpy()})
        return dict(zip(self._names, map(torch.from_numpy, values), strict=True))


def convert(model: CenterNet, size: tuple[int, int] | None = None) -> Any:
    """The network as an ONNX program, with input `image` and outputs named as the maps.

    Args:
        model: the network.
        size: height, width of its input; by default any.

    Raises:
        BackendError: PyTorch cannot export it, or torchvision cannot be imported.
    """
    step = model.input_multiple
    example = example_input(model) if size is None else torch.zeros(2, 3, *size)
    dynamic: dict[int, Any] = {0: Dim("batch")}
    if size is None:
        # The exporter cannot see by itself that halving a side again and again leaves no rest.
        dynamic |= {2: step * Dim("height_steps"), 3: step * Dim("width_steps")}
    network = LastStack(model).eval()
    try:
        with torch.no_grad(), _quiet():
            # PyTorch looks for the translation of its operator before it begins.
            import_torchvision()
            return torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=(dynamic,),
                input_names=["image"],
                output_names=list(model.heads),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BackendError(f"PyTorch cannot export the network to ONNX: {reason}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings of what is meant for its developers."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
