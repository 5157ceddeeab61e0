"""Runs are read strictly: every mistake is named with its file and key."""

from pathlib import Path

import pytest

from training.config import ConfigError, RunConfig, load_config

CONFIGS = sorted(Path(__file__).parents[2].glob("config/training/*.yaml"))


def write(folder, text):
    path = folder / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_runs_can_be_read(path):
    config = load_config(path)

    assert config.preset().input_size == config.input_size
    assert config.steps_per_epoch > 0


def test_an_empty_file_is_the_default_run(tmp_path):
    assert load_config(write(tmp_path, "")) == RunConfig()


def test_values_and_overrides_arrive_with_their_types(tmp_path):
    path = write(
        tmp_path, "optimiser: {learning_rate: 5e-4, drops: [3, 5]}\ninput_size: [64, 128]\n"
    )

    config = load_config(path, ["optimiser.batch_size=4", "seed=7", "augment.scale=[1, 2]"])

    assert config.optimiser.learning_rate == 0.0005
    assert config.optimiser.drops == (3, 5)
    assert config.optimiser.batch_size == 4
    assert config.input_size == (64, 128)
    assert config.seed == 7
    assert config.augment.scale == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {}", "unknown key optimizer; known: .*optimiser"),
        ("optimiser: {lr: 1}", "unknown key optimiser.lr; known: learning_rate"),
        ("optimiser: 3", "optimiser: expected a section, found 3"),
        ("seed: fast", "seed: expected int, found 'fast'"),
        ("seed: true", "seed: expected int, found True"),
        ("optimiser: {learning_rate: quick}", "optimiser.learning_rate: expected float"),
        ("input_size: [128]", "input_size: expected a list of 2"),
        ("input_size: 128", "input_size: expected a list of 2"),
        ("fit: stretch", "fit: 'stretch' is not one of letterbox"),
        ("optimiser: {schedule: linear}", "optimiser.schedule: 'linear'"),
        ("optimiser: {precision: float16}", "optimiser.precision: 'float16'"),
        ("optimiser: {batch_size: 0}", "optimiser.batch_size: 0"),
        ("data: {train_images: 3}", "data.train_images: 3 is less than one batch"),
        ("- a list", "expected keys and values, found list"),
        ("a: [unclosed", "run.yaml"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))

    assert "run.yaml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("override", ["seed", "seed.inner=3", "nothing=1"])
def test_a_wrong_override_is_an_error(tmp_path, override):
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, "seed: 1"), [override])


def test_an_input_size_that_no_network_takes_is_an_error():
    with pytest.raises(ConfigError, match="multiples of 32"):
        RunConfig(input_size=(100, 128)).preset()
