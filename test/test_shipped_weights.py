"""The weights that come with the package."""

from pathlib import Path

import pytest

from centernet_ros.checkpoint import load_model
from training.data.street import street_camera
from training.data.street_samples import street_classes

FOLDER = Path(__file__).parents[1] / "weights"
LIMIT = 60e6
"""Bytes of all of them together: everybody who clones the repository fetches them."""


@pytest.mark.parametrize("task", ["detection2d", "detection3d", "pose"])
def test_every_task_has_weights_for_the_street(task):
    model, preset = load_model(FOLDER / f"street_{task}.safetensors")
    assert preset.task == task
    assert preset.class_names == street_classes(task)
    height, width = street_camera(task).image_size
    assert preset.input_size[0] / preset.input_size[1] == pytest.approx(height / width, abs=0.02)
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


def test_they_are_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) <= LIMIT
