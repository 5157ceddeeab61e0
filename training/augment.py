"""Random scale, shift, mirror and colour of training images."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch

from centernet_ros.image import Image, view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import View
from training.config import AugmentConfig
from training.data.sample import Sample


def random_view(
    sample: Sample, preset: ModelPreset, config: AugmentConfig, random: np.random.Generator
) -> View:
    """The preset's view of an image, or of a crop about one of its objects, randomly changed.

    The view keeps the camera where the picture shows everything in its place and size, or mirrored;
    else the geometry is not the camera's any more.
    """
    height, width = sample.image.shape[:2]
    if preset.fit is Fit.KEEP:
        preset = dataclasses.replace(preset, fit=Fit.LETTERBOX)
    view = view_of((height, width), preset, sample.camera)
    focus = np.array([width / 2, height / 2])
    crop = any(config.crop)
    if crop:
        view = dataclasses.replace(view, input_size=config.crop)
        if len(sample.truth) > 0:
            box = sample.truth.boxes[random.integers(len(sample.truth))].double().numpy()
            focus = (box[:2] + box[2:]) / 2
    size = np.array(view.input_size[::-1])
    scale, shift = (
        random.uniform(*config.scale),
        random.uniform(-config.shift, config.shift, size=2),
    )
    if random.random() < config.keep_geometry:
        scale, shift = 1.0, np.zeros(2)
    mirror = -1 if random.random() < config.flip else 1
    linear = np.diag([scale * mirror, scale]) @ view.to_input[:, :2].numpy()
    affine = np.column_stack([linear, size / 2 + shift * size - linear @ focus])
    kept = scale == 1 and not shift.any() and not crop
    return dataclasses.replace(
        view, to_input=torch.from_numpy(affine), camera=sample.camera if kept else None
    )


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
