"""Random scale, shift, mirror and colour of training images."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch

from centernet_ros.image import Image, view_of
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import View
from training.config import AugmentConfig


def random_view(
    image_size: tuple[int, int],
    preset: ModelPreset,
    config: AugmentConfig,
    random: np.random.Generator,
) -> View:
    """The preset's view of an image, randomly scaled, shifted and mirrored about its centre.

    The view has no camera: the geometry of a changed picture is not the camera's.
    """
    view = view_of(image_size, preset)
    height, width = view.input_size
    scale = random.uniform(*config.scale)
    mirror = -1 if random.random() < config.flip else 1
    centre = np.array([width / 2, height / 2])
    shift = random.uniform(-config.shift, config.shift, size=2) * (width, height)
    linear = np.diag([scale * mirror, scale])
    affine = linear @ view.to_input.numpy()
    affine[:, 2] += centre - linear @ centre + shift
    return dataclasses.replace(view, to_input=torch.from_numpy(affine))


def random_colour(image: Image, config: AugmentConfig, random: np.random.Generator) -> Image:
    """Brightness, contrast and saturation changed in random order, as the authors do it."""
    if config.colour == 0:
        return image
    for operation in random.permutation(3):
        factor = 1 + random.uniform(-config.colour, config.colour)
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if operation == 0:
            image = _scale(image, factor, towards=0)
        elif operation == 1:
            image = _scale(image, factor, towards=grey.mean())
        else:
            other = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
            image = np.asarray(cv2.addWeighted(image, factor, other, 1 - factor, 0), np.uint8)
    return image


def _scale(image: Image, factor: float, towards: float) -> Image:
    """Scale the distance of every value from `towards`."""
    table = np.clip(np.arange(256) * factor + (1 - factor) * towards, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)
