"""Runs are read strictly: every mistake is named with its file and key."""

from pathlib import Path

import pytest

from centernet_ros.presets import IMAGENET_MEAN, IMAGENET_STD, Fit, ModelPreset
from training.config import OptimiserConfig, RunConfig, load_config
from training.sources import VocSource
from training.strict import ConfigError

CONFIGS = sorted(Path(__file__).parents[2].glob("config/training/*.yaml"))


def write(folder, text):
    path = folder / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_runs_can_be_read(path):
    config = load_config(path)

    assert config.preset(("a",)).input_size == config.input_size


def test_an_empty_file_is_the_default_run(tmp_path):
    assert load_config(write(tmp_path, "")) == RunConfig()


def test_values_and_overrides_arrive_with_their_types(tmp_path):
    optimiser = "{learning_rate: 5e-4, schedule: step, drops: [3, 5]}"
    path = write(tmp_path, f"optimiser: {optimiser}\ninput_size: [64, 128]\n")

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
        ("optimiser: {precision: half}", "optimiser.precision: 'half'"),
        ("optimiser: {batch_size: 0}", "optimiser.batch_size: 0"),
        ("data: {kind: video}", "data.kind: 'video' is not one of street, coco, voc, kitti"),
        ("data: {kind: video, train: {}}", "data.kind: 'video' is not one of street, coco, voc"),
        ("data: {kind: coco}", "data.train: missing for the kind coco"),
        ("data: {kind: coco, train: {seed: 1}}", "unknown key data.train.seed; .*annotations"),
        ("data: {kind: coco, train: {images: a}}", "data.train.annotations: missing"),
        ("data: {train: {folders: [a]}}", "unknown key data.train.folders; known: seed, images"),
        ("data: {kind: voc, train: {folders: a}}", "data.train.folders: expected a list of any"),
        ("data: {ignored_as_objects: true}", "data.ignored_as_objects: street"),
        ("data: {limit: -1}", "data.limit: -1 is negative"),
        ("loss: {regression: l2}", "loss.regression: 'l2' is not one of l1, smooth_l1"),
        ("{task: pose, loss: {regression: smooth_l1}}", "is not one of l1 that pose has"),
        ("{task: detection3d, loss: {mean_over: cars}}", "'cars' is not one of slots, objects"),
        ("{task: pose, loss: {mean_over: objects}}", "pose divides its losses by the objects anyw"),
        ("pixel_statistics: voc", "pixel_statistics: 'voc' is not one of coco, imagenet"),
        ("output: ''", "output: is empty"),
        ("seed: -1", "seed: -1 is negative"),
        ("threads: -1", "threads: -1 is negative"),
        ("optimiser: {epochs: 0}", "optimiser.epochs: 0 is not positive"),
        ("optimiser: {learning_rate: 0}", "optimiser.learning_rate: 0.0 is not positive"),
        ("optimiser: {learning_rate: .inf}", "optimiser.learning_rate: inf is no finite number"),
        ("optimiser: {warmup_steps: -1}", "optimiser.warmup_steps: -1 is negative"),
        ("optimiser: {drops: [3]}", "optimiser.drops: the schedule cosine has none"),
        ("loss: {size_weight: -1}", "loss.size_weight: -1.0 is negative"),
        ("data: {train: {images: 0}}", "data.train.images: 0 is not positive"),
        ("data: {validation: {seed: -2}}", "data.validation.seed: -2 is negative"),
        ("data: {workers: -1}", "data.workers: -1 is negative"),
        ("data: {classes: [a, b, a]}", "data.classes: 'a' stands there twice"),
        ("augment: {crop: [64, 48]}", r"augment.crop: \[64, 48\] are not positive multiples of 32"),
        ("augment: {crop: [0, 64]}", "augment.crop: .* multiples of 32, as resnet18 wants them"),
        ("{backbone: hourglass, augment: {crop: [64, 64]}}", "augment.crop: .* multiples of 128"),
        ("task: ddd", "augment.keep_geometry: 0 leaves no image to learn depth from"),
        ("{task: ddd, augment: {crop: [64, 64], scale: [1, 1], shift: 0}}", "leaves no image to l"),
        ("{task: ddd, augment: {placement: random_shift}}", "leaves no image to learn depth from"),
        ("augment: {placement: random_crop, scale: [1, 2]}", "augment.scale: .* has its own; drop"),
        ("augment: {placement: random_shift, shift: 0}", "augment.shift: the placement random_shi"),
        ("optimiser: {schedule: step, drops: [0, 3]}", "optimiser.drops: 0 is not positive"),
        ("{seed: 1, task: pose, seed: 2}", "key seed stands in line 1 and in line 1"),
        ("optimiser:\n  clip: 1\n  clip: 2\n", "key clip stands in line 2 and in line 3"),
        ("- a list", "expected keys and values, found list"),
        ("a: [unclosed", "run.yaml"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))

    assert "run.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_no_value_is_the_empty_text(tmp_path):
    assert load_config(write(tmp_path, "initial_trunk: a"), ["initial_trunk="]).initial_trunk == ""


def test_a_file_in_another_encoding_is_named(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes("output: Läufe".encode("latin-1"))

    with pytest.raises(ConfigError, match=r"run.yaml: is no text in UTF-8 \(byte 9\)"):
        load_config(path)


@pytest.mark.parametrize("augment", ["{scale: [1, 1], shift: 0}", "{keep_geometry: 0.5}"])
def test_depth_is_learnt_from_images_that_keep_their_camera(tmp_path, augment):
    load_config(write(tmp_path, f"{{task: detection3d, augment: {augment}}}"))


def test_the_users_own_folder_can_be_meant_by_a_tilde():
    assert RunConfig(output="~/run").folder == Path.home() / "run"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "expected section.key=value"),
        ("seed.inner=3", "seed is not a section"),
        ("nothing=1", "unknown key nothing"),
        ("augment.scale=[1, 2", r"--set 'augment.scale=\[1, 2': while parsing"),
    ],
)
def test_a_wrong_override_is_an_error(tmp_path, override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, "seed: 1"), [override])

    assert "\n" not in str(caught.value)


def test_an_input_size_that_no_network_takes_is_an_error():
    with pytest.raises(ConfigError, match="multiples of 32"):
        RunConfig(input_size=(100, 128)).preset(("a",))


def test_fewer_images_than_a_batch_are_an_error():
    config = RunConfig(optimiser=OptimiserConfig(batch_size=4))

    assert config.steps_per_epoch(11) == 2
    with pytest.raises(ConfigError, match="batch_size: 3 images are less than 4"):
        config.steps_per_epoch(3)


def test_the_sources_of_a_kind_arrive_with_their_type(tmp_path):
    text = "data: {kind: voc, train: {folders: [a, b], list: c}, validation: {folders: [d]}}"

    data = load_config(write(tmp_path, text), ["data.validation.list=e"]).data

    assert data.train == VocSource(("a", "b"), "c")
    assert data.validation == VocSource(("d",), "e")


def test_the_preset_has_what_belongs_to_the_weights():
    config = RunConfig(
        task="ctdet", backbone="hourglass", pixel_statistics="imagenet", fit="keep", compat=True
    )
    expected = ModelPreset(
        "detection2d",
        "hourglass104",
        ("a", "b"),
        fit=Fit.KEEP,
        pad_to=128,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        compat=True,
    )

    assert config.preset(["a", "b"]) == expected
