"""Image messages to arrays with blue first, and back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from centernet_ros.encodings import (
    OPENCV_CODES,
    ImageError,
    file_to_bgr,
    pixels_of,
    to_8_bits,
)
from centernet_ros.image import Image

MISSING_IN_CV_BRIDGE = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv", "bayer_grbg8")
"""Encodings that the cv_bridge of PyPI (1.13.0.post0) lacks; older distributions lack the names
without `yuv422`."""

_bridge = CvBridge()


def to_bgr(message: ImageMessage | CompressedImage) -> Image:
    """The picture of an image message, (H, W, 3) uint8 with blue first.

    Of a bgr8 message it is a view: valid as long as the message, not to be written to.

    Raises:
        ImageError: The message is damaged, empty or of an unknown encoding.
    """
    if isinstance(message, CompressedImage):
        # As the raw image of the same camera: the picture as it was taken, never turned. OpenCV is
        # called without cv_bridge, which would give grey files without the third axis.
        image = file_to_bgr(np.frombuffer(message.data, np.uint8), f"format {message.format!r}")
        mosaic = _mosaic_in(message.format)
        if not mosaic:
            return image
        return np.asarray(cv2.cvtColor(image[:, :, 0], OPENCV_CODES[mosaic]), dtype=np.uint8)
    try:
        return _convert(message)
    except cv2.error as error:
        raise ImageError(f"OpenCV cannot convert it: {str(error).strip()}") from None


def to_message(image: Image, header: Any) -> ImageMessage:
    """A bgr8 message of an image (H, W, 3) uint8 with blue first, under the given header."""
    height, width = image.shape[:2]
    message = ImageMessage(
        header=header, height=height, width=width, encoding="bgr8", step=3 * width
    )
    # The only assignment that copies memory as a block; others go through every element.
    message.data.frombytes(np.ascontiguousarray(image))
    return message


def to_compressed_message(image: Image, header: Any, quality: int = 80) -> CompressedImage:
    """A JPEG message of an image (H, W, 3) uint8 with blue first, under the given header.

    `format` is what image_transport's compressed plug-in writes.
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ImageError(f"OpenCV cannot write {image.shape[1]}x{image.shape[0]} pixels as JPEG")
    message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
    message.data.frombytes(data)
    return message


def _mosaic_in(kind: str) -> str:
    """Bayer encoding, in 8 bits, of the grey picture in a file; empty where it is no mosaic.

    Args:
        kind: `format` of the message. image_transport's compressed plug-in leaves a mosaic as it is
            in PNG files alone.
    """
    encoding, _, how = kind.partition(";")
    encoding = encoding.replace("16", "8")
    return (
        encoding if encoding.startswith("bayer_") and how.split() == ["png", "compressed"] else ""
    )


def _convert(message: ImageMessage) -> Image:
    """A raw image in bgr8."""
    # cv_bridge reduces 16 bits in distributions only; its factor is the same.
    pixels, encoding = to_8_bits(pixels_of(message), message.encoding)
    if encoding == "bgr8":
        return pixels
    if encoding in MISSING_IN_CV_BRIDGE:
        return np.asarray(cv2.cvtColor(pixels, OPENCV_CODES[encoding]), dtype=np.uint8)
    if message.step != pixels[0].nbytes or message.encoding != encoding or message.is_bigendian:
        # The cv_bridge of PyPI does not know the padding of rows, and fails on big-endian bytes.
        message = _packed(pixels, encoding)
    return np.asarray(_bridge.imgmsg_to_cv2(message, "bgr8"), dtype=np.uint8)


def _packed(pixels: NDArray[Any], encoding: str) -> ImageMessage:
    """A message of 8-bit pixels without padding."""
    height, width = pixels.shape[:2]
    message = ImageMessage(height=height, width=width, encoding=encoding, step=pixels[0].nbytes)
    message.data.frombytes(np.ascontiguousarray(pixels))
    return message
