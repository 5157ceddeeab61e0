"""When a run is recorded and when not; recordings themselves need a GPU."""

from contextlib import contextmanager
from unittest.mock import MagicMock

import pytest
import torch

from centernet_ros.backends import open_backend
from centernet_ros.backends.cuda_graphs import SHAPES, RecordedRuns, record_cuda_graph


class Recorder:
    """Stands in for a GPU: tells what was recorded, and answers that it was a recording."""

    def __init__(self, error=None):
        self.recorded = []
        self.error = error

    def __call__(self, run, example):
        if self.error is not None:
            raise self.error
        self.recorded.append(tuple(example.shape))
        return lambda batch: {"recorded": run(batch)["plain"]}


def plain(batch):
    return {"plain": 2 * batch}


def names(runs, *shape):
    batch = torch.ones(shape)
    ((name, values),) = runs(batch).items()
    assert values.equal(2 * batch)
    return name


def test_a_shape_is_recorded_when_it_comes_again():
    recorder = Recorder()
    runs = RecordedRuns(plain, recorder)
    assert [names(runs, 1, 3) for _ in range(4)] == ["plain"] + 3 * ["recorded"]
    assert not runs.is_recorded((2, 3))
    assert names(runs, 2, 3) == "plain"
    assert recorder.recorded == [(1, 3)]


def test_images_of_many_sizes_are_never_recorded():
    recorder = Recorder()
    runs = RecordedRuns(plain, recorder)
    assert {names(runs, 1, width) for width in range(1, 50)} == {"plain"}
    assert recorder.recorded == []


def test_sizes_that_come_in_turns_are_not_recorded_for_ever():
    recorder = Recorder()
    runs = RecordedRuns(plain, recorder)
    sizes = range(1, SHAPES + 3)
    for _ in range(4):
        last = [names(runs, 1, width) for width in sizes]
    assert recorder.recorded == [(1, width) for width in range(1, SHAPES + 1)]
    assert last == SHAPES * ["recorded"] + 2 * ["plain"]
    assert runs.is_recorded((1, SHAPES + 1)), "nothing is to be waited for"


def test_what_cannot_be_recorded_runs_all_the_same(capsys):
    error = RuntimeError("operation not permitted when stream is capturing\nmore")
    runs = RecordedRuns(plain, Recorder(error))
    assert {names(runs, 1, 3) for _ in range(3)} == {"plain"}
    assert runs.is_recorded((1, 3)), "nothing is to be waited for"
    assert capsys.readouterr().err.count("operation not permitted when stream is capturing)") == 1


def test_what_is_too_large_to_be_recorded_runs_all_the_same():
    """A recording keeps its memory for itself; other shapes are recorded."""
    recorder = Recorder(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    runs = RecordedRuns(plain, recorder)
    assert {names(runs, 8, 3) for _ in range(3)} == {"plain"}
    assert runs.is_recorded((8, 3)), "nothing is to be waited for"
    recorder.error = None
    assert [names(runs, 1, 3) for _ in range(2)] == ["plain", "recorded"]
    assert recorder.recorded == [(1, 3)]


def test_it_is_recorded_and_replayed_on_the_gpu_of_its_inputs(monkeypatch):
    """Without a GPU: PyTorch's own stream to record in is of whichever GPU came first."""
    current = []

    @contextmanager
    def device(chosen):
        current.append(chosen)
        yield
        current.pop()

    cuda = MagicMock(device=device)
    cuda.CUDAGraph.return_value.replay.side_effect = lambda: current[-1]
    monkeypatch.setattr("centernet_ros.backends.cuda_graphs.torch.cuda", cuda)
    seen = []

    def run(batch):
        seen.append(current[-1])
        return {"doubled": 2 * batch}

    batch = torch.ones(1, 3)
    replay = record_cuda_graph(run, batch)
    cuda.graph.assert_called_once_with(cuda.CUDAGraph(), stream=cuda.Stream())
    assert set(seen) == {batch.device}
    assert replay(batch)["doubled"].equal(2 * batch)
    cuda.CUDAGraph().replay.assert_called_once_with()
    assert current == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_recorded_network_answers_the_same(make_model, precision):
    device = torch.device("cuda")
    model = make_model("dla34")
    backend = open_backend("torch", model, device, precision)
    images = torch.randn(3, 1, 3, 96, 64, device=device)
    first = backend(images[0])
    assert not backend.is_ready(images[0].shape)
    kept = [backend(image) for image in images]
    assert backend.is_ready(images[0].shape)
    for name, value in first.items():
        torch.testing.assert_close(kept[0][name], value, rtol=1e-3, atol=1e-3)
        assert not kept[1][name].equal(kept[0][name]), "each call has maps of its own"
