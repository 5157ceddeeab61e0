"""Colour changes of training images."""

import cv2
import numpy as np
import pytest

from training.colour import (
    LIGHT_DEVIATIONS,
    LIGHT_DIRECTIONS,
    OPERATIONS,
    colour_matrix,
    mean_grey,
)


class Fixed:
    """Draws the given factors and light instead of random ones."""

    def __init__(self, *factors, light=(0, 0, 0)):
        self.factors = list(factors)
        self.light = np.array(light, float)

    def uniform(self, low, high):
        factor = self.factors.pop(0)
        assert low <= factor <= high
        return factor

    def normal(self, _mean, _deviation, size):
        assert size == len(self.light)
        return self.light


def noise(seed=0):
    return np.random.default_rng(seed).random((6, 8, 3), dtype=np.float32)


def change_colours(image, random, order=OPERATIONS, **options):
    """A float image in [0, 1] with changed colours."""
    return cv2.transform(image, colour_matrix(mean_grey(image), random, order, **options))


def grey_of(image):
    return image @ np.array([0.114, 0.587, 0.299], np.float32)


def test_brightness_multiplies():
    image = noise()
    changed = change_colours(image, Fixed(1.3), ["brightness"])
    assert changed == pytest.approx(1.3 * image, abs=1e-6)


def test_contrast_moves_away_from_the_mean_grey():
    image = noise()
    changed = change_colours(image, Fixed(1.3), ["contrast"])
    mean = grey_of(image).mean()
    assert changed == pytest.approx(mean + 1.3 * (image - mean), abs=1e-5)


def test_saturation_keeps_the_grey_and_moves_away_from_it():
    image = noise()
    changed = change_colours(image, Fixed(0.6), ["saturation"])
    grey = grey_of(image)
    assert grey_of(changed) == pytest.approx(grey, abs=1e-5)
    assert changed == pytest.approx(grey[..., None] + 0.6 * (image - grey[..., None]), abs=1e-5)


def test_light_shifts_all_pixels_along_the_principal_colours():
    image = noise()
    for axis in range(3):
        changed = change_colours(image, Fixed(light=np.eye(3)[axis] * 0.1), [])
        shift = 0.1 * LIGHT_DEVIATIONS[axis] * np.array(LIGHT_DIRECTIONS)[:, axis]
        assert changed - image == pytest.approx(np.broadcast_to(shift, image.shape), abs=1e-6)


def test_later_operations_take_the_grey_of_the_first_image():
    image = noise()
    changed = change_colours(image, Fixed(0.6, 1.4), ["brightness", "saturation"])
    expected = 1.4 * 0.6 * image - 0.4 * grey_of(image)[..., None]
    assert changed == pytest.approx(expected, abs=1e-5)


def test_variations_bound_the_change():
    image = noise()
    still = change_colours(image, np.random.default_rng(0), variation=0, light=0)
    assert still == pytest.approx(image, abs=1e-6)
    first = change_colours(image, np.random.default_rng(1))
    assert np.array_equal(first, change_colours(image, np.random.default_rng(1)))
    assert not np.allclose(first, change_colours(image, np.random.default_rng(2)))


def test_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="'hue'; known: " + ", ".join(OPERATIONS)):
        change_colours(noise(), np.random.default_rng(0), ["hue"])
