"""One recipe for every experiment of the paper, with the schedule of the authors' scripts."""

from pathlib import Path

import pytest

from centernet_ros.presets import PRESETS
from training.config import load_config

FOLDER = Path(__file__).parents[2] / "config" / "training" / "paper"

SCHEDULES = {
    "ctdet_coco_dla_1x": (128, 5e-4, 140, (90, 120)),
    "ctdet_coco_dla_2x": (128, 5e-4, 230, (180, 210)),
    "ctdet_coco_hg": (24, 2.5e-4, 50, (40,)),
    "ctdet_coco_resdcn18": (114, 5e-4, 140, (90, 120)),
    "ctdet_coco_resdcn101": (96, 3.75e-4, 140, (90, 120)),
    "multi_pose_dla_1x": (128, 5e-4, 140, (90, 120)),
    "multi_pose_dla_3x": (128, 5e-4, 320, (270, 300)),
    "multi_pose_hg_1x": (24, 2.5e-4, 50, (40,)),
    "multi_pose_hg_3x": (24, 2.5e-4, 150, (130,)),
    "ddd_3dop": (16, 1.25e-4, 70, (45, 60)),
    "ddd_sub": (16, 1.25e-4, 70, (45, 60)),
}
"""Batch size, learning rate, epochs, and after which of them the rate falls to a tenth."""

PASCAL = (32, 1.25e-4, 70, (45, 60))


def test_every_published_network_has_a_recipe():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_is_the_authors(name):
    config = load_config(FOLDER / f"{name}.yaml")
    run, augment = config.optimiser, config.augment

    assert config.preset(PRESETS[name].class_names) == PRESETS[name]
    expected = SCHEDULES.get(name, PASCAL)
    assert (run.batch_size, run.learning_rate, run.epochs, run.drops) == expected
    assert (run.schedule, run.warmup_steps, run.precision) == ("step", 0, "float32")
    assert config.seed == 317
    assert config.output == f"build/training/{name}"
    loss = config.loss
    assert (loss.size_weight, loss.regression, loss.mean_over) == (0.1, "l1", "slots")
    if name.startswith("ddd"):
        assert (augment.placement, augment.keep_geometry) == ("random_shift", 0.5)
        assert (augment.flip, augment.colour, augment.light) == (0, 0, 0)
    else:
        assert (augment.placement, augment.flip) == ("random_crop", 0.5)
        assert (augment.colour, augment.light) == (0.4, 0.1)
        assert config.data.ignored_as_objects


@pytest.mark.parametrize("path", sorted(FOLDER.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_other_recipe_is_readable_and_writes_into_a_folder_of_its_name(path):
    assert load_config(path).output == f"build/training/{path.stem}"


def test_trunks_are_those_the_authors_started_from():
    starts = {name: load_config(FOLDER / f"{name}.yaml").initial_trunk for name in PRESETS}

    for name, trunk in starts.items():
        backbone = PRESETS[name].backbone
        if name.startswith("multi_pose"):
            start = "ctdet_coco_dla_2x" if backbone == "dla34" else "ctdet_coco_hg"
            assert trunk == f"weights/{start}.pth"
        elif backbone.startswith("resnet"):
            assert trunk == "imagenet"
        else:
            assert "dla34" in trunk or "ExtremeNet" in trunk


@pytest.mark.parametrize(
    "change",
    ["loss.regression=smooth_l1", "loss.size_weight=0.02", "input_size=[384, 384]"],
)
def test_the_papers_comparisons_are_one_key_away(change):
    path = FOLDER / "ctdet_coco_dla_1x.yaml"

    assert load_config(path, [change]) != load_config(path)
