"""The network at work: where it runs, how long it takes, and what happens when a GPU fails."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from centernet_ros.backends import Backend, Standby
from centernet_ros.backends.standby import SHAPES
from centernet_ros.detector import Detector
from centernet_ros.image import Image, view_of
from centernet_ros.ros.parameters import NodeParameters
from centernet_ros.structures import CameraIntrinsics, Detections2D, View
from centernet_ros.tasks.detection3d import Detection3D

OpenDetector = Callable[[NodeParameters], Detector]

GPU_FAILURE = re.compile(r"CUDA|cuDNN|CUBLAS|NVIDIA|HIP ", re.IGNORECASE)
"""In the text of an error of a GPU that is lost, busy or broken."""


@dataclass(frozen=True)
class StageTimes:
    """Seconds of a batch in each stage."""

    prepare: float
    network: float
    decode: float


class Engine:
    """A detector that goes on, on the CPU, when its GPU fails.

    Attributes:
        preset: what the network was trained for.
        failure: why the GPU was given up; empty as long as nothing failed.
        max_detections: peaks of an image that are looked at; may be changed at any time.
        training_focal_length: of the 3D task, see `Detection3D`; may be changed at any time.
        threads: of the processor that the network runs in.
    """

    def __init__(
        self, open_detector: OpenDetector, parameters: NodeParameters, logger: Any
    ) -> None:
        """Load the network.

        Raises:
            OSError: There is no weights file.
            ValueError: The file cannot be used, or this machine has no such device or backend.
        """
        self._open_detector = open_detector
        self._parameters = parameters
        self._logger = logger
        self._detector: Detector | None = None
        self.failure = ""
        self._told_failure = ""
        self.threads = torch.get_num_threads()
        try:
            self.preset = self.detector.preset
        except RuntimeError as error:
            if parameters.device == "cpu" or not is_gpu_failure(error):
                raise
            self._give_up_gpu(parameters.device, str(error))
            self.preset = self.detector.preset
        self.max_detections = self.preset.max_detections
        self.training_focal_length = 0.0

    @property
    def detector(self) -> Detector:
        """The one of the moment; loaded where there is none."""
        if self._detector is None:
            self._detector = self._open_detector(self._parameters)
        return self._detector

    @property
    def loaded(self) -> Detector | None:
        """The one of the moment for who only looks; None while one is being loaded."""
        return self._detector

    @property
    def precision(self) -> str:
        """Numbers that the network computes with; what was asked for as long as none is loaded."""
        detector = self._detector  # which the worker's thread may take away
        backend = None if detector is None else detector.backend
        return getattr(backend, "precision", self._parameters.precision)

    @property
    def executor_failure(self) -> str:
        """Why a faster executor is not used; empty as long as none has failed."""
        detector = self._detector
        backend = None if detector is None else detector.backend
        return backend.failure if isinstance(backend, Standby) else ""

    def warm_up(self, batch: int) -> None:
        """Run with as many images, on a GPU also with fewer: the first run of each number is slow.

        There the second one is, too, which records.
        """
        size = self.preset.input_size
        view = view_of(size, self.preset, stand_in_camera(size))
        on_cpu = self.detector.device.type == "cpu"
        for number in (batch,) if on_cpu else {*range(1, min(batch, SHAPES)), batch}:
            for _ in range(1 if on_cpu else 2):
                self.detect([np.zeros((*size, 3), np.uint8)] * number, [view] * number)

    def detect(
        self, images: Sequence[Image], views: Sequence[View]
    ) -> tuple[list[Detections2D], StageTimes]:
        """Results of images whose views share one input size, and how long they took."""
        try:
            return self._detect(images, views)
        except RuntimeError as error:
            if self.detector.device.type == "cpu" or not is_gpu_failure(error):
                raise
            # Only the text: the error itself keeps the memory of the frames that it came through.
            reason, out_of_memory = str(error), isinstance(error, torch.cuda.OutOfMemoryError)
        if out_of_memory:
            # Other programs use the GPU too: what PyTorch keeps for later may be enough now.
            _free_gpu_memory()
            with contextlib.suppress(torch.cuda.OutOfMemoryError):
                return self._detect(images, views)
        self._give_up_gpu(str(self.detector.device), reason)
        return self._detect(images, views)

    def _detect(
        self, images: Sequence[Image], views: Sequence[View]
    ) -> tuple[list[Detections2D], StageTimes]:
        detector = self.detector
        detector.max_detections = self.max_detections
        if isinstance(detector.task, Detection3D):
            detector.task.training_focal_length = self.training_focal_length
        start = time.monotonic()
        batch = detector.prepare(images, views)
        self._share_processor(detector.backend, batch.shape)
        prepared = time.monotonic()
        watch = Stopwatch(batch.device)
        maps = detector.infer(batch)
        watch.stop()
        results = detector.decode(maps, views)  # which waits for the device
        network = watch.seconds()
        rest = time.monotonic() - prepared - network
        self._tell_executor_failure()
        return results, StageTimes(prepared - start, network, rest)

    def _tell_executor_failure(self) -> None:
        """Say it in the node's log, once: the executor itself can only print."""
        failure = self.executor_failure
        if failure and failure != self._told_failure:
            self._logger.warning(failure)
        self._told_failure = failure

    def _share_processor(self, backend: Backend, shape: Sequence[int]) -> None:
        """Leave PyTorch one thread where another library answers inputs of a shape, else all."""
        executor = backend.serving(shape) if isinstance(backend, Standby) else backend
        # The other library's threads wait busily for the next image; PyTorch's would have to wait
        # for them, which takes longer than what is left to do here.
        threads = self.threads if getattr(executor, "name", "torch") == "torch" else 1
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    def _give_up_gpu(self, device: str, reason: str) -> None:
        """Have the network loaded again, on the CPU."""
        self.failure = reason.strip().split("\n", maxsplit=1)[0]
        self._logger.error(
            f"device {device} failed ({self.failure}): going on with the CPU, which is "
            "slower; clean up and configure the node to go back"
        )
        self._detector = None
        _free_gpu_memory()
        self._parameters = dataclasses.replace(self._parameters, device="cpu", precision="auto")

    def close(self) -> None:
        """Free the network and its memory."""
        torch.set_num_threads(self.threads)
        on_gpu = self._detector is not None and self._detector.device.type == "cuda"
        self._detector = None
        if on_gpu:
            _free_gpu_memory()
        _return_memory()


class Stopwatch:
    """Times work on the clock of the device that does it, without waiting for a GPU."""

    def __init__(self, device: torch.device) -> None:
        """Start.

        Args:
            device: that does it; a GPU in its current stream.
        """
        self._device = device
        self._start = self._end = self._mark()

    def stop(self) -> None:
        """Note the end of the work."""
        self._end = self._mark()

    def seconds(self) -> float:
        """From start to stop; the work has to be done, for instance its results copied."""
        if self._device.type == "cuda":
            return float(self._start.elapsed_time(self._end)) / 1e3  # of milliseconds
        return float(self._end - self._start)

    def _mark(self) -> Any:
        if self._device.type != "cuda":
            return time.monotonic()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event


def is_gpu_failure(error: RuntimeError) -> bool:
    """Whether an error tells of the GPU and not of what it was given."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or bool(GPU_FAILURE.search(str(error)))


def _free_gpu_memory() -> None:
    with contextlib.suppress(RuntimeError):  # a lost GPU has nothing to give back
        torch.cuda.empty_cache()


def _return_memory() -> None:
    """Give the system what the network took: glibc keeps it, as it was told to for images."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def stand_in_camera(image_size: tuple[int, int]) -> CameraIntrinsics:
    """A camera for decoding what depends on none; nothing in space that comes of it is true."""
    return CameraIntrinsics.pinhole(1.0, (0.0, 0.0), image_size)
