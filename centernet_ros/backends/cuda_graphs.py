"""A network's kernels recorded once per input shape, and launched all at once for every image.

A GPU runs most kernels of a small network in less time than a CPU needs to launch them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from centernet_ros.backends.cache import say
from centernet_ros.backends.standby import SHAPES

Run = Callable[..., dict[str, Tensor]]
"""Tensors, whose shapes decide what is done, to named tensors."""

Record = Callable[..., Run]
"""A run and inputs like all that will come, to a recording of it."""

WARM_UP = 3
"""Runs before a recording: the first ones choose algorithms, which cannot be recorded."""


class RecordedRuns:
    """Runs a function through a recording, for the first `SHAPES` shapes that come more than once.

    Images of many sizes would else keep it recording. Where recording fails, it says so once and
    runs the function itself from then on. May be called from several threads, one after another.
    """

    def __init__(self, run: Run, record: Record) -> None:
        """Nothing is recorded yet.

        Args:
            run: what is recorded, on one GPU.
            record: what gives a recording of it for inputs like the examples.
        """
        self._run = run
        self._record = record
        self._seen: set[tuple[tuple[int, ...], ...]] = set()
        self._recordings: dict[tuple[tuple[int, ...], ...], Run] = {}
        self._failed = False
        self._lock = threading.Lock()

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The function's results; they stay as they are when it is called again."""
        shapes = tuple(tuple(values.shape) for values in inputs)
        # A recording has its inputs and results in one place.
        with self._lock:
            if shapes in self._seen and not self.is_recorded(*shapes):
                self._add(shapes, inputs)
            self._seen.add(shapes)
            return self._recordings.get(shapes, self._run)(*inputs)

    def is_recorded(self, *shapes: Sequence[int]) -> bool:
        """Whether there is a recording for inputs of these shapes, or will never be one."""
        never = self._failed or len(self._recordings) == SHAPES
        return never or tuple(tuple(shape) for shape in shapes) in self._recordings

    def _add(self, shapes: tuple[tuple[int, ...], ...], inputs: Sequence[Tensor]) -> None:
        try:
            self._recordings[shapes] = self._record(self._run, *inputs)
        except RuntimeError as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                # A recording keeps its memory for itself: the run alone may fit.
                torch.cuda.empty_cache()
                self._recordings[shapes] = self._run
                return
            self._failed = True
            reason = str(error).strip().split("\n", maxsplit=1)[0]
            say(f"a GPU's kernels cannot be recorded, and run one by one ({reason})")


def record_cuda_graph(run: Run, *examples: Tensor) -> Run:
    """A function recorded as a CUDA graph, with the fastest algorithms that cuDNN finds by trying.

    Args:
        run: inputs to named results, without any look at a value on the way.
        examples: inputs like all that will come.

    Raises:
        RuntimeError: Something in it cannot be recorded.
    """
    with torch.cuda.device(examples[0].device):
        return _recorded(run, examples)


def _recorded(run: Run, examples: Sequence[Tensor]) -> Run:
    """A recording on the current GPU."""
    held = [example.clone() for example in examples]
    here = torch.cuda.current_stream()
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(here)
    with _trying_algorithms():
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                run(*held)
        here.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # PyTorch's own stream for it is of the GPU that was recorded on first. A recording that
        # fails leaves its stream current.
        with torch.cuda.stream(here), torch.cuda.graph(graph, stream=beside):
            results = run(*held)

    def replay(*inputs: Tensor) -> dict[str, Tensor]:
        with torch.cuda.device(held[0].device):
            torch._foreach_copy_(held, list(inputs))
            graph.replay()
            # The next replay writes into the same memory.
            copies = {name: torch.empty_like(values) for name, values in results.items()}
            torch._foreach_copy_(list(copies.values()), list(results.values()))
        return copies

    return replay


@contextmanager
def _trying_algorithms() -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
