"""One executor serves until the other is ready; nobody waits, and nothing breaks."""

import threading

import pytest
import torch

from centernet_ros.backends import open_backend
from centernet_ros.backends.standby import SHAPES, Standby

BATCH = torch.zeros(1, 3, 8, 8)
OTHER = torch.zeros(1, 3, 8, 16)


class Constant:
    """Answers with its value; ready for the shapes that it was prepared for."""

    precision = "float32"

    def __init__(self, name, value, ready=()):
        self.name = name
        self.value = value
        self.ready = set(ready)
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, batch):
        return {"heatmap": torch.full((1,), self.value)}

    def is_ready(self, shape):
        return tuple(shape) in self.ready

    def prepare(self, shape):
        assert self.gate.wait(10)
        if self.value < 0:
            raise ValueError("differs by 3.0e-01\nand more")
        self.ready.add(tuple(shape))


def standby(fast):
    return Standby(Constant("torch", 1.0), fast.name, lambda: fast)


def value(backend, batch=BATCH):
    return backend(batch)["heatmap"].item()


def test_serves_meanwhile_then_changes_over(capsys):
    fast = Constant("openvino", 2.0)
    fast.gate.clear()
    backend = standby(fast)
    assert [value(backend) for _ in range(3)] == [1, 1, 1]
    assert backend.name == "torch"
    fast.gate.set()
    backend.wait()
    assert value(backend) == 2
    assert backend.name == "openvino"
    assert capsys.readouterr().err == "centernet_ros: running on openvino now\n"


def test_the_thread_is_no_daemon_even_if_it_is_started_by_one():
    fast = Constant("openvino", 2.0)
    fast.gate.clear()
    backend = standby(fast)
    node = threading.Thread(target=lambda: [value(backend) for _ in range(2)], daemon=True)
    node.start()
    node.join()
    (ours,) = [thread for thread in threading.enumerate() if thread.name == "backend-standby"]
    assert not ours.daemon
    fast.gate.set()
    backend.wait()


def test_a_size_that_comes_once_is_not_prepared():
    fast = Constant("openvino", 2.0)
    backend = standby(fast)
    assert value(backend) == 1
    backend.wait()
    assert not fast.ready
    value(backend)
    backend.wait()
    assert [value(backend), value(backend, OTHER)] == [2, 1]
    assert fast.ready == {tuple(BATCH.shape)}


def test_sizes_that_come_in_turns_are_not_prepared_for_ever():
    fast = Constant("openvino", 2.0)
    backend = standby(fast)
    prepared = []
    fast.prepare = lambda shape: (prepared.append(shape), fast.ready.add(shape))
    for _ in range(4):
        for width in range(1, SHAPES + 3):
            value(backend, torch.zeros(1, 3, 8, 8 * width))
            backend.wait()
        fast.ready.discard(prepared[-1] if prepared else None)  # as where it was put out
    assert len(prepared) == SHAPES
    assert backend.serving((1, 3, 8, 8)) is fast
    assert backend.serving((1, 3, 8, 8 * SHAPES + 8)).name == "torch"


@pytest.mark.parametrize("where", ["open", "prepare"])
def test_failure_is_said_once_and_harms_nobody(where, capsys):
    def broken():
        raise RuntimeError("no such instruction")

    fast = Constant("openvino", -1.0)
    backend = Standby(
        Constant("torch", 1.0), "openvino", broken if where == "open" else lambda: fast
    )
    for _ in range(4):
        assert value(backend) == 1
        backend.wait()
    reason = "no such instruction" if where == "open" else "differs by 3.0e-01"
    assert backend.failure == f"openvino cannot be used: {reason}"
    assert backend.name == "torch"
    assert capsys.readouterr().err == f"centernet_ros: {backend.failure}; staying with torch\n"


def test_a_shape_that_fails_stays_where_it_is_and_the_others_do_not(capsys):
    fast = Constant("openvino", 2.0)
    backend = standby(fast)
    for _ in range(2):
        value(backend)
        backend.wait()
    assert value(backend) == 2
    fast.value = -1.0  # fails from now on
    for _ in range(3):
        assert value(backend, OTHER) == 1
        backend.wait()
    assert backend.failure == ""
    said = (
        "openvino cannot be used for inputs of 1x3x8x16: differs by 3.0e-01; these stay with torch"
    )
    assert capsys.readouterr().err.count(said) == 1
    fast.value = 2.0
    assert value(backend) == 2


def test_auto_with_a_network(small, images, agree):
    pytest.importorskip("openvino")
    backend = open_backend("auto", small, torch.device("cpu"))
    first = backend(images)
    backend(images)
    backend.wait()
    agree(backend(images), first)
    assert backend.name == "openvino"
