"""A network's kernels recorded once per input shape, and launched all at once for every image.

A GPU runs most kernels of a small network in less time than a CPU needs to launch them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from centernet_ros.backends.cache import say

Run = Callable[[Tensor], dict[str, Tensor]]
Record = Callable[[Run, Tensor], Run]

SHAPES = 6
"""Recordings that are kept, enough for the paper's five scales; the longest unused goes."""

WARM_UP = 3
"""Runs before a recording: the first ones choose algorithms, which cannot be recorded."""


class RecordedRuns:
    """Runs a function through a recording, for input shapes that come more than once.

    Images of many sizes would else keep it recording. Where recording fails, it says so once and
    runs the function itself from then on.
    """

    def __init__(self, run: Run, record: Record) -> None:
        """Nothing is recorded yet.

        Args:
            run: input to maps, on one GPU.
            record: what gives a recording of it for inputs like an example.
        """
        self._run = run
        self._record = record
        self._seen: set[tuple[int, ...]] = set()
        self._recordings: OrderedDict[tuple[int, ...], Run] = OrderedDict()
        self._failed = False

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """The function's maps; they stay as they are when it is called again."""
        shape = tuple(batch.shape)
        if shape in self._seen and shape not in self._recordings and not self._failed:
            self._add(batch)
        self._seen.add(shape)
        recording = self._recordings.get(shape)
        if recording is None:
            return self._run(batch)
        self._recordings.move_to_end(shape)
        return recording(batch)

    def is_recorded(self, shape: Sequence[int]) -> bool:
        """Whether there is a recording for inputs of a shape, or will never be one."""
        return self._failed or tuple(shape) in self._recordings

    def _add(self, batch: Tensor) -> None:
        try:
            self._recordings[tuple(batch.shape)] = self._record(self._run, batch)
        except RuntimeError as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            self._failed = True
            reason = str(error).strip().split("\n", maxsplit=1)[0]
            say(f"the network's kernels cannot be recorded, and run one by one ({reason})")
        if len(self._recordings) > SHAPES:
            self._recordings.popitem(last=False)


def record_cuda_graph(run: Run, example: Tensor) -> Run:
    """A function recorded as a CUDA graph.

    Args:
        run: input to maps, without any look at a value on the way.
        example: an input like all that will come.

    Raises:
        RuntimeError: Something in it cannot be recorded.
    """
    held = example.clone()
    here = torch.cuda.current_stream(example.device)
    beside = torch.cuda.Stream(example.device)  # type: ignore[no-untyped-call]
    beside.wait_stream(here)
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            run(held)
    here.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        maps = run(held)

    def replay(batch: Tensor) -> dict[str, Tensor]:
        held.copy_(batch)
        graph.replay()
        # The next replay writes into the same memory.
        return {name: values.clone() for name, values in maps.items()}

    return replay
