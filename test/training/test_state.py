"""A state is resumed by its own run alone, and whatever else it is, is one clear line."""

from dataclasses import replace

import pytest
import torch

from centernet_ros.models import build_model
from training.config import OptimiserConfig, RunConfig
from training.learner import start_learner
from training.state import Progress, cannot_write, load_state, save_state, what_decides
from training.strict import ConfigError

CONFIG = RunConfig(backbone="resnet18_pyramid16")
DECISIVE = what_decides(CONFIG, ("car", "cyclist"), 16)


def learner(classes=2):
    model = build_model(CONFIG.backbone, CONFIG.task, classes)
    return start_learner(model, OptimiserConfig(), torch.device("cpu"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A state after 5 steps, and what it was saved of."""
    path = tmp_path_factory.mktemp("state") / "state.pt"
    saver = learner()
    save_state(path, saver, Progress(5, 0.25, validated=False), DECISIVE)
    return path, saver


def test_a_state_brings_back_weights_and_progress(saved):
    path, saver = saved
    other = learner()

    assert load_state(path, other, DECISIVE) == Progress(5, 0.25, validated=False)
    expected = saver.model.state_dict()
    assert all(torch.equal(value, expected[n]) for n, value in other.model.state_dict().items())


def decisive_with(class_names=("car", "cyclist"), num_images=16, **optimiser):
    config = replace(CONFIG, optimiser=replace(CONFIG.optimiser, **optimiser))
    return what_decides(config, class_names, num_images)


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (decisive_with(epochs=9), "optimiser.epochs was 10 and is 9 now; set it as it was"),
        (decisive_with(("cyclist", "car")), r"data.classes was \('car', .* and is \('cyclist', "),
        (decisive_with(num_images=15), "number of training images was 16 and is 15 now"),
        (
            decisive_with(precision="bfloat16"),
            "precision was 'float32' and is 'bfloat16' now; auto follows the machine, and a run "
            "stays with what it began with: --set optimiser.precision=float32",
        ),
    ],
)
def test_the_first_key_that_differs_is_named(saved, now, message):
    with pytest.raises(ConfigError, match=message):
        load_state(saved[0], learner(), now)


def test_another_network_is_not_called_damage(saved):
    with pytest.raises(ConfigError, match=r"state.pt does not fit the network: .*size mismatch"):
        load_state(saved[0], learner(classes=1), DECISIVE)


@pytest.mark.parametrize(
    "content", [[1, 2], {"step": 3}, {"learner": {}, "step": 3, "best": None, "config": "('a',)"}]
)
def test_what_is_no_state_of_this_version_is_one_line(tmp_path, content):
    path = tmp_path / "state.pt"
    torch.save(content, path)

    with pytest.raises(ConfigError, match=r"state.pt is no state that this version writes"):
        load_state(path, learner(), DECISIVE)


def test_a_damaged_state_is_named(tmp_path):
    path = tmp_path / "state.pt"
    path.write_bytes(b"PK\x03\x04 not a state")

    with pytest.raises(ConfigError, match=r"state.pt is damaged"):
        load_state(path, learner(), DECISIVE)


def test_a_full_disk_speaks_of_the_state_that_there_is(tmp_path):
    error = OSError(28, "No space left on device")
    path = tmp_path / "log.jsonl"

    assert "no state was saved before: make room" in str(cannot_write(path, error))
    (tmp_path / "state.pt").touch()
    assert "then --resume goes on from it" in str(cannot_write(path, error))
