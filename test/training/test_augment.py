"""Augmentation moves picture and truth together."""

import dataclasses

import numpy as np
import pytest
import torch

from centernet_ros.image import view_of, warp
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D
from training.augment import random_colour, random_view
from training.config import AugmentConfig
from training.data.sample import Sample
from training.strict import ConfigError

PRESET = ModelPreset("detection2d", "resnet18", ("a",), (128, 384))
SIZE = (192, 640)


def sample_of(image, *boxes):
    truth = Detections2D(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.ones(len(boxes)),
        torch.zeros(len(boxes), dtype=torch.int64),
    )
    return Sample("test", image, truth, Detections2D.empty())


BLACK = sample_of(np.zeros((*SIZE, 3), np.uint8))
NOTHING = AugmentConfig(flip=0.0, scale=(1.0, 1.0), shift=0.0, colour=0.0)


def test_without_any_change_the_view_is_the_detectors():
    view = random_view(BLACK, PRESET, NOTHING, np.random.default_rng(0))

    torch.testing.assert_close(view.to_input, view_of(SIZE, PRESET).to_input)


def test_a_mirrored_view_exchanges_left_and_right():
    config = AugmentConfig(flip=1.0, scale=(1.0, 1.0), shift=0.0)
    plain = view_of(SIZE, PRESET)

    view = random_view(BLACK, PRESET, config, np.random.default_rng(0))

    assert view.mirrored
    point = torch.tensor([[100.0, 50.0]])
    x, y = (plain.to_grid(point) * 4)[0]
    torch.testing.assert_close(view.to_grid(point) * 4, torch.stack([384 - x, y])[None])


@pytest.mark.parametrize("seed", range(8))
def test_a_bright_square_lies_where_the_view_says(seed):
    image = np.zeros((*SIZE, 3), np.uint8)
    image[80:100, 300:330] = 255
    config = AugmentConfig(scale=(0.6, 1.4), shift=0.1)

    view = random_view(sample_of(image), PRESET, config, np.random.default_rng(seed))
    rows, columns = np.nonzero(warp(image, view)[..., 0] > 127)

    found = torch.tensor([columns.min(), rows.min(), columns.max(), rows.max()]) / 4
    # The corners of the square are the centres of its outermost pixels.
    expected = view.boxes_to_grid(torch.tensor([[300.0, 80.0, 329.0, 99.0]]))[0]
    torch.testing.assert_close(found.double(), expected, atol=0.3, rtol=0)


def test_scale_and_shift_stay_in_their_ranges():
    config = AugmentConfig(flip=0.5, scale=(0.8, 1.25), shift=0.1)
    plain = view_of(SIZE, PRESET)
    centre = torch.tensor([[320.0, 96.0]])

    for seed in range(50):
        view = random_view(BLACK, PRESET, config, np.random.default_rng(seed))
        factor = (view.to_input[1, 1] / plain.to_input[1, 1]).item()
        shift = (view.to_grid(centre) - plain.to_grid(centre)).abs()[0]

        assert 0.8 <= factor <= 1.25
        assert shift[0] <= 0.1 * 384 / 4
        assert shift[1] <= 0.1 * 128 / 4


@pytest.mark.parametrize("seed", range(8))
def test_a_crop_holds_the_centre_of_an_object_at_the_inputs_scale(seed):
    config = AugmentConfig(crop=(64, 96), flip=0.5, scale=(1.0, 1.0), shift=0.25)
    sample = sample_of(BLACK.image, [20.0, 30.0, 60.0, 50.0], [500.0, 100.0, 600.0, 180.0])

    view = random_view(sample, PRESET, config, np.random.default_rng(seed))

    assert view.input_size == (64, 96)
    assert abs(view.to_input[1, 1]) == pytest.approx(384 / 640)
    centres = view.to_grid(torch.tensor([[40.0, 40.0], [550.0, 140.0]]))
    distance = (centres - torch.tensor([12.0, 8.0])).abs()
    assert (distance <= torch.tensor([6.0, 4.0])).all(dim=1).any()


def test_a_crop_of_an_empty_scene_shows_its_middle():
    config = AugmentConfig(crop=(64, 96), flip=0.0, scale=(1.0, 1.0), shift=0.0)

    view = random_view(BLACK, PRESET, config, np.random.default_rng(0))

    torch.testing.assert_close(
        view.to_grid(torch.tensor([[320.0, 96.0]])), torch.tensor([[12.0, 8.0]]).double()
    )


CAMERA = CameraIntrinsics.pinhole(500.0, (320.0, 96.0), SIZE)
SEEN = dataclasses.replace(BLACK, camera=CAMERA)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_the_camera_stays_where_everything_keeps_its_place_and_size(flip):
    config = AugmentConfig(flip=flip, scale=(1.0, 1.0), shift=0.0)

    assert random_view(SEEN, PRESET, config, np.random.default_rng(0)).camera is CAMERA


@pytest.mark.parametrize(
    "change", [{"scale": (0.9, 0.95)}, {"shift": 0.1}, {"crop": (64, 96)}], ids=str
)
def test_a_changed_geometry_is_not_the_cameras(change):
    config = AugmentConfig(**{"scale": (1.0, 1.0), "shift": 0.0, **change})

    assert random_view(SEEN, PRESET, config, np.random.default_rng(0)).camera is None


def test_the_geometry_is_kept_as_often_as_asked_for():
    config = AugmentConfig(flip=0.0, keep_geometry=0.25)
    views = [random_view(SEEN, PRESET, config, np.random.default_rng(i)) for i in range(400)]
    kept = [view for view in views if view.camera is not None]

    assert 70 <= len(kept) <= 130
    plain = view_of(SIZE, PRESET).to_input
    for view in views:
        assert (view.camera is not None) == torch.allclose(view.to_input, plain)


def test_colour_changes_stay_8_bit_and_bounded():
    image = np.random.default_rng(1).integers(0, 256, (32, 48, 3)).astype(np.uint8)
    before = image.copy()

    changed = random_colour(image, AugmentConfig(colour=0.4), np.random.default_rng(2))

    assert changed.dtype == np.uint8
    assert changed.shape == image.shape
    assert not np.array_equal(changed, image)
    np.testing.assert_array_equal(image, before)


def test_no_colour_leaves_the_image_alone():
    image = np.random.default_rng(1).integers(0, 256, (32, 48, 3)).astype(np.uint8)

    np.testing.assert_array_equal(random_colour(image, NOTHING, np.random.default_rng(2)), image)


def test_the_light_changes_colours_as_the_authors_do():
    image = np.full((32, 48, 3), 128, np.uint8)

    changed = random_colour(image, AugmentConfig(colour=0.0, light=0.1), np.random.default_rng(2))

    assert changed.dtype == np.uint8
    assert (np.ptp(changed, axis=(0, 1)) == 0).all()
    assert 0 < np.abs(changed[0, 0].astype(int) - 128).max() < 40


def test_the_authors_crops_have_their_scales_and_no_camera():
    config = AugmentConfig(placement="random_crop", flip=0.5)
    views = [random_view(SEEN, PRESET, config, np.random.default_rng(i)) for i in range(60)]

    assert all(view.input_size == (128, 384) and view.camera is None for view in views)
    widths = {round(float(384 / view.to_input[1, 1]) / 640, 3) for view in views}
    assert widths == {0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3}
    assert 15 < sum(view.mirrored for view in views) < 45


def test_the_authors_shift_leaves_half_of_the_images_to_the_camera():
    preset = dataclasses.replace(PRESET, fit=Fit.WIDTH)
    config = AugmentConfig(placement="random_shift", flip=0.0, keep_geometry=0.5)
    views = [random_view(SEEN, preset, config, np.random.default_rng(i)) for i in range(100)]
    scales = np.array([float(view.to_input[0, 0]) / 0.6 for view in views if not view.camera])

    assert 35 <= len(scales) <= 65
    assert scales.min() >= 1 / 1.4 - 1e-6
    assert scales.max() <= 1 / 0.6 + 1e-6


def test_images_of_the_networks_own_resolution_are_learnt_in_the_letterbox():
    preset = dataclasses.replace(PRESET, fit=Fit.KEEP)

    view = random_view(BLACK, preset, NOTHING, np.random.default_rng(0))

    assert view.input_size == (128, 384)
    torch.testing.assert_close(view.to_input, view_of(SIZE, PRESET).to_input)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"placement": "tilted"}, "augment.placement: 'tilted' is not one of uniform, random_crop"),
        ({"placement": "random_crop", "crop": (64, 64)}, "augment.crop: the placement random_crop"),
        (
            {"crop": (64, 64), "keep_geometry": 0.5},
            "augment.keep_geometry: 0.5 of the images would",
        ),
        (
            {"placement": "random_crop", "keep_geometry": 0.5},
            "augment.keep_geometry: 0.5 of the im",
        ),
        ({"keep_geometry": -0.5}, "augment.keep_geometry: -0.5 is no probability"),
        ({"flip": 1.5}, "augment.flip: 1.5 is no probability"),
        ({"scale": (0.0, 1.0)}, r"augment.scale: \[0.0, 1.0\] is no range"),
        ({"scale": (1.2, 0.8)}, r"augment.scale: \[1.2, 0.8\] is no range"),
        ({"shift": -0.1}, "augment.shift: -0.1 is negative"),
        ({"colour": -0.1}, "augment.colour: -0.1 is negative"),
        ({"light": -0.1}, "augment.light: -0.1 is negative"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**options)
