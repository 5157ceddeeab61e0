"""Random scale, shift, mirror and colour of training images."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from centernet_ros.image import Image, view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import View
from training.colour import OPERATIONS, colour_matrix, mean_grey
from training.config import AugmentConfig
from training.crop import random_crop, random_shift, view_of_piece
from training.data.sample import Sample


def random_view(
    sample: Sample, preset: ModelPreset, config: AugmentConfig, random: np.random.Generator
) -> View:
    """The preset's view of an image, or of a piece of it, randomly changed.

    The view keeps the camera where the picture shows everything in its place and size, or mirrored;
    else the geometry is not the camera's any more.
    """
    size = (sample.image.shape[0], sample.image.shape[1])
    if preset.fit is Fit.KEEP:
        preset = dataclasses.replace(preset, fit=Fit.LETTERBOX)
    view = view_of(size, preset, sample.camera)
    mirrored = bool(random.random() < config.flip)
    if config.placement == "random_crop":
        piece = random_crop(size, random)
        return view_of_piece(size, preset.input_size, piece, mirrored=mirrored)
    if random.random() < config.keep_geometry:
        return _moved(view, mirrored=mirrored)
    if config.placement == "random_shift":
        width = preset.input_size[1] / float(view.to_input[0, 0])
        piece = random_shift(size, width, random)
        return view_of_piece(size, preset.input_size, piece, mirrored=mirrored)
    scale = random.uniform(*config.scale)
    shift = random.uniform(-config.shift, config.shift, size=2)
    if not any(config.crop):
        return _moved(view, scale=scale, shift=shift, mirrored=mirrored)
    focus = np.array(size[::-1]) / 2
    if len(sample.truth) > 0:
        box = sample.truth.boxes[random.integers(len(sample.truth))].double().numpy()
        focus = (box[:2] + box[2:]) / 2
    view = dataclasses.replace(view, input_size=config.crop, camera=None)
    return _moved(view, focus, scale=scale, shift=shift, mirrored=mirrored)


def _moved(
    view: View,
    focus: NDArray[np.float64] | None = None,
    *,
    scale: float = 1.0,
    shift: NDArray[np.float64] | None = None,
    mirrored: bool = False,
) -> View:
    """A view scaled about a place of the image, which comes to lie at the middle of the input.

    Args:
        view: how the image lies on the input.
        focus: (2,) the place in pixels, by default the image's middle.
        scale: further factor.
        shift: (2,) move, as a fraction of the input's sides; by default none.
        mirrored: whether left and right are exchanged.
    """
    size = np.array(view.input_size[::-1])
    focus = np.array(view.image_size[::-1]) / 2 if focus is None else focus
    shift = np.zeros(2) if shift is None else shift
    linear = np.diag([-scale if mirrored else scale, scale]) @ view.to_input[:, :2].numpy()
    affine = np.column_stack([linear, size / 2 + shift * size - linear @ focus])
    camera = view.camera if scale == 1 and not shift.any() else None
    return dataclasses.replace(view, to_input=torch.from_numpy(affine), camera=camera)


def random_colour(image: Image, config: AugmentConfig, random: np.random.Generator) -> Image:
    """Brightness, contrast and saturation changed in random order, then the light.

    NOTE: The authors' images keep values below black and above white, these do not.
    """
    if config.colour == 0 and config.light == 0:
        return image
    order = [OPERATIONS[operation] for operation in random.permutation(3)]
    matrix = colour_matrix(
        mean_grey(image) / 255, random, order, variation=config.colour, light=config.light
    )
    matrix[:, 3] *= 255
    return np.asarray(cv2.transform(image, matrix), np.uint8)
