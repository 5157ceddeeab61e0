"""Image -> (network input, View): the one preprocessing path of node, evaluation and training."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics, View

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, blue first."""

LARGEST_SIDE = 32766
"""Most pixels along a side of an image that OpenCV warps."""


def view_of(
    image_size: tuple[int, int],
    preset: ModelPreset,
    camera: CameraIntrinsics | None = None,
    scale: float = 1.0,
) -> View:
    """How an image of this height and width lies on the preset's network input.

    Args:
        image_size: height, width of the image in pixels.
        preset: what the network was trained for.
        camera: the camera of the image.
        scale: factor by which the image is resized before it is laid onto the input. With
            `Fit.KEEP` the input grows along, else the image fills so much less or more of it.

    Raises:
        ValueError: The camera's image has another size than the image, or the scale is no factor or
            too large.
    """
    if camera is not None and camera.image_size != image_size:
        raise ValueError(
            f"camera is calibrated for height x width {camera.image_size}, image is {image_size}"
        )
    height, width = image_size
    resized_height, resized_width = resized_size(image_size, scale)
    input_height, input_width = preset.input_size
    centre = (resized_width / 2, resized_height / 2)
    if preset.fit is Fit.KEEP:
        # Sides that are multiples already grow by a whole step, as in the authors' tests.
        input_height = (resized_height | (preset.pad_to - 1)) + 1
        input_width = (resized_width | (preset.pad_to - 1)) + 1
        centre = (resized_width // 2, resized_height // 2)
        zoom = 1.0
    elif preset.fit is Fit.CENTRE:
        zoom = 1.0
    elif preset.fit is Fit.WIDTH:
        zoom = input_width / width
    else:
        zoom = min(input_width / width, input_height / height)
    shift_x = input_width / 2 - zoom * centre[0]
    shift_y = input_height / 2 - zoom * centre[1]
    # NOTE: A resized pixel is taken to be an original one times the scale, as the authors do.
    # Resizing keeps corners and not pixel centres, and rounds the sides: up to a pixel beside it.
    affine = torch.tensor(
        [[zoom * scale, 0, shift_x], [0, zoom * scale, shift_y]], dtype=torch.float64
    )
    return View(image_size, (input_height, input_width), affine, camera, scale)


def resized_size(image_size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width in pixels of an image resized by a factor.

    Raises:
        ValueError: The factor is not positive and finite, or makes an image too large to be warped.
    """
    if not 0 < scale < float("inf"):
        raise ValueError(f"scale is {scale!r}, expected a positive factor")
    height, width = (max(1, int(side * scale)) for side in image_size)
    if max(height, width) > LARGEST_SIDE:
        size = f"{width}x{height} pixels"
        made = f"scale {scale:g} makes {size} of {image_size[1]}x{image_size[0]}"
        told = made if scale != 1 else f"image is {size}"
        raise ValueError(f"{told}; no side may exceed {LARGEST_SIDE}")
    return height, width


def warp(image: Image, view: View) -> Image:
    """Lay an image onto the network input, (H, W, 3) uint8; what lies outside it is black."""
    affine = view.to_input.numpy()
    if view.resize != 1:
        height, width = resized_size(view.image_size, view.resize)
        image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
        affine = np.column_stack([affine[:, :2] / view.resize, affine[:, 2]])
    height, width = view.input_size
    warped = cv2.warpAffine(image, affine, (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.uint8)


def normalise(batch: Tensor, preset: ModelPreset) -> Tensor:
    """(B, H, W, 3) uint8 of `warp` to the network input (B, 3, H, W) float32, same device."""
    if batch.device.type == "cpu":
        return _look_up(batch, _normalised_levels(preset.mean, preset.std))
    return _normalised(batch.permute(0, 3, 1, 2), preset.mean, preset.std)


def _normalised(planes: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(B, 3, H, W) uint8 to float32 with mean 0 and standard deviation 1, in contiguous planes."""
    device = planes.device
    values = planes.contiguous().float().div_(255)
    return values.sub_(_planes(mean, device)).div_(_planes(std, device))


@lru_cache(maxsize=16)
def _normalised_levels(mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """What becomes of each level of each channel, (3, 256)."""
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    return np.asarray(_normalised(levels, mean, std)[0, :, 0].numpy())


def _look_up(batch: Tensor, levels: NDArray[np.float32]) -> Tensor:
    """`_normalised` with the same numbers, in half the time: a picture has few levels."""
    images = batch.numpy()
    planes = np.empty((len(images), 3, *images.shape[1:3]), np.float32)
    for image, target in zip(images, planes, strict=True):
        for channel in range(3):
            cv2.LUT(cv2.extractChannel(image, channel), levels[channel], dst=target[channel])
    return torch.from_numpy(planes)


@lru_cache(maxsize=16)
def _planes(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A number for each channel, (3, 1, 1); kept, as a GPU would be waited for to take it."""
    # Also where it is first asked for while nothing may learn, it is for training too.
    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(3, 1, 1)


def prepare(
    image: Image, preset: ModelPreset, camera: CameraIntrinsics | None = None, scale: float = 1.0
) -> tuple[Tensor, View]:
    """An image as network input (3, H, W) float32, with its view; see `view_of`.

    Raises:
        ValueError: The image is not (H, W, 3) uint8, is empty, or does not fit the camera.
    """
    view = view_of(check(image), preset, camera, scale)
    batch = torch.from_numpy(warp(image, view)).unsqueeze(0)
    return normalise(batch, preset)[0], view


def check(image: Image) -> tuple[int, int]:
    """Height and width of an image.

    Raises:
        ValueError: It is not an array of (H, W, 3) uint8, or it is empty.
    """
    if not isinstance(image, np.ndarray):  # cv2.imread answers None for a file it cannot read
        raise ValueError(f"image is {type(image).__name__}, expected an array")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image is {image.shape} {image.dtype}, expected (H, W, 3) uint8, blue first"
        )
    if image.size == 0:
        raise ValueError(f"image is empty: {image.shape[1]}x{image.shape[0]} pixels")
    return image.shape[0], image.shape[1]
