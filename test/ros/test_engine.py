"""What happens when a GPU fails; without a GPU, PyTorch fails as if one were lost."""

import time

import numpy as np
import pytest
import torch

from centernet_ros.backends import Standby
from centernet_ros.detector import Detector
from centernet_ros.image import view_of
from centernet_ros.presets import ModelPreset
from centernet_ros.ros.engine import Engine, Stopwatch, is_gpu_failure
from centernet_ros.ros.parameters import NodeParameters

PRESET = ModelPreset("detection2d", "resnet18", ("car",), input_size=(64, 96))
IMAGES = [np.zeros((48, 64, 3), np.uint8)] * 2
VIEWS = [view_of((48, 64), PRESET)] * 2


class Logger:
    def __init__(self):
        self.errors, self.warnings = [], []

    def error(self, text):
        self.errors.append(text)

    def warning(self, text):
        self.warnings.append(text)


class Empty(Detector):
    """Finds nothing, unless there is a failure left."""

    def __init__(self, device="cpu"):
        super().__init__(self.answer, PRESET, device=device, score_threshold=0.1)
        self.failures = []

    def prepare(self, images, views):
        # The tensors stay on the CPU whatever the device is called.
        device, self.device = self.device, torch.device("cpu")
        try:
            return super().prepare(images, views)
        finally:
            self.device = device

    def answer(self, batch):
        if self.failures:
            raise self.failures.pop()
        grid = batch.shape[2] // 4, batch.shape[3] // 4
        maps = {name: torch.zeros(len(batch), 2, *grid) for name in ("size", "offset")}
        return {"heatmap": torch.full((len(batch), 1, *grid), -9.0), **maps}


@pytest.fixture
def opened():
    return []


@pytest.fixture
def engine(opened):
    def open_detector(parameters):
        opened.append(parameters)
        return Empty("cpu" if parameters.device == "cpu" else "cuda")

    parameters = NodeParameters().replace({"device": "cuda", "precision": "float16"})
    return Engine(open_detector, parameters, Logger())


def test_stage_times_add_up(engine):
    results, times = engine.detect(IMAGES, VIEWS)
    assert [len(result) for result in results] == [0, 0]
    assert min(times.prepare, times.network, times.decode) >= 0
    assert engine.failure == ""


@pytest.mark.parametrize(
    "failure",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_the_cpu_takes_over_and_the_same_images_are_answered(engine, opened, failure):
    engine.max_detections = 7
    engine.detector.failures = [failure] * 2
    results, _ = engine.detect(IMAGES, VIEWS)
    assert [len(result) for result in results] == [0, 0]
    assert [parameters.device for parameters in opened] == ["cuda", "cpu"]
    assert opened[1].precision == "auto", "the CPU has no float16"
    assert engine.detector.max_detections == 7
    assert engine.failure == str(failure)
    (error,) = engine._logger.errors
    assert str(failure) in error
    assert "going on with the CPU" in error


def test_a_gpu_without_room_for_the_network(opened):
    def open_detector(parameters):
        opened.append(parameters.device)
        if parameters.device != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
        return Empty()

    logger = Logger()
    engine = Engine(open_detector, NodeParameters(), logger)
    assert opened == ["auto", "cpu"]
    assert engine.preset is PRESET
    assert "device auto failed (CUDA out of memory" in logger.errors[0]


def test_memory_that_was_short_for_a_moment(engine, opened):
    engine.detector.failures = [torch.cuda.OutOfMemoryError("CUDA out of memory")]
    engine.detect(IMAGES, VIEWS)
    assert len(opened) == 1
    assert engine.failure == ""


def test_other_errors_are_not_the_gpus(engine, opened):
    engine.detector.failures = [RuntimeError("the size of tensor a must match")]
    with pytest.raises(RuntimeError, match="size of tensor"):
        engine.detect(IMAGES, VIEWS)
    assert len(opened) == 1


def test_a_cpu_that_fails_is_not_replaced(opened):
    detector = Empty()
    engine = Engine(lambda parameters: detector, NodeParameters(), Logger())
    detector.failures = [RuntimeError("CUDA error: how strange")]
    with pytest.raises(RuntimeError, match="how strange"):
        engine.detect(IMAGES, VIEWS)


@pytest.mark.skipif(
    torch.cuda.is_available() or not torch.version.cuda, reason="needs CUDA's PyTorch and no GPU"
)
def test_a_gpu_that_is_not_there_is_a_failure_of_the_gpu():
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(1).to("cuda")
    assert is_gpu_failure(caught.value)


def test_the_network_is_timed_on_the_gpus_clock_without_a_wait(monkeypatch):
    class Event:
        """As PyTorch's: refuses to tell a time that has not passed."""

        done = False

        def __init__(self, *, enable_timing):
            assert enable_timing

        def record(self, stream):
            assert stream == "stream of cuda:1"

        def elapsed_time(self, end):
            assert self.done
            assert end is not self
            return 7.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: pytest.fail("waited"))
    watch = Stopwatch(torch.device("cuda:1"))
    watch.stop()
    Event.done = True  # as after the results' copy

    assert watch.seconds() == pytest.approx(0.007)


def test_the_network_is_timed_on_a_cpu():
    watch = Stopwatch(torch.device("cpu"))
    time.sleep(0.02)
    watch.stop()
    measured = watch.seconds()
    time.sleep(0.02)

    assert measured >= 0.02
    assert watch.seconds() == measured, "what comes after the network does not count"


def test_pytorchs_threads_keep_out_of_another_librarys_way():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        engine = Engine(lambda parameters: Empty(), NodeParameters(), Logger())
        engine.detect(IMAGES, VIEWS)
        assert torch.get_num_threads() == 3

        class Other:
            name = "openvino"
            precision = "float32"
            served = ((2, 3, 64, 96),)
            __call__ = engine.detector.answer

            def is_ready(self, shape):
                return tuple(shape) in self.served

        engine.detector.backend = Other()
        engine.detect(IMAGES, VIEWS)
        assert torch.get_num_threads() == 1

        backend = Standby(engine.detector.answer, "openvino", Other)
        backend._opened = Other()
        engine.detector.backend = backend
        # One image is of another shape than two, which PyTorch serves with all it has.
        for count, threads in ((2, 1), (1, 3), (2, 1)):
            engine.detect(IMAGES[:count], VIEWS[:count])
            assert torch.get_num_threads() == threads
        engine.close()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_an_executor_that_cannot_be_used_is_told_once():
    class Present:
        name = "torch"

        def __call__(self, batch):
            return Empty().answer(batch)

    def open_broken():
        raise RuntimeError("no such instruction")

    logger = Logger()
    engine = Engine(lambda parameters: Empty(), NodeParameters(), logger)
    backend = engine.detector.backend = Standby(Present(), "openvino", open_broken)
    assert engine.executor_failure == ""
    for _ in range(5):
        engine.detect(IMAGES, VIEWS)
        backend.wait()
    assert engine.executor_failure == "openvino cannot be used: no such instruction"
    assert logger.warnings == [engine.executor_failure]
