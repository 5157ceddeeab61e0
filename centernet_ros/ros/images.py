"""Image messages to arrays with blue first, and back."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from cv_bridge import CvBridge
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from centernet_ros.image import Image

MAX_SIDE = 32766
"""Pixels of a side that OpenCV can still warp."""

CHANNELS = {
    **dict.fromkeys(("bgr8", "rgb8", "8UC3"), 3),
    **dict.fromkeys(("bgra8", "rgba8", "8UC4"), 4),
    **dict.fromkeys(("mono8", "8UC1"), 1),
    **dict.fromkeys(("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"), 1),
    **dict.fromkeys(("yuv422", "uyvy", "yuv422_yuy2", "yuyv"), 2),
    **dict.fromkeys(("bgr16", "rgb16"), 3),
    **dict.fromkeys(("bgra16", "rgba16"), 4),
    "mono16": 1,
    **dict.fromkeys(("bayer_rggb16", "bayer_bggr16", "bayer_gbrg16", "bayer_grbg16"), 1),
}
"""Values per pixel of each encoding that is understood."""

ALIASES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
"""What OpenCV's plain types mean by custom; cv_bridge itself refuses to take them for colours."""

OPENCV_CODES = {
    "yuv422": cv2.COLOR_YUV2BGR_UYVY,
    "uyvy": cv2.COLOR_YUV2BGR_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2,
    "yuyv": cv2.COLOR_YUV2BGR_YUY2,
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
}
"""Conversions to bgr8 that the cv_bridge of PyPI (1.13.0.post0) lacks; older distributions lack
the names without `yuv422`."""

_bridge = CvBridge()


class ImageError(ValueError):
    """An image message that holds no usable image; the message says why in one sentence."""


def to_bgr(message: ImageMessage | CompressedImage) -> Image:
    """The picture of an image message, (H, W, 3) uint8 with blue first.

    Of a bgr8 message it is a view: valid as long as the message, not to be written to.

    Raises:
        ImageError: The message is damaged, empty or of an unknown encoding.
    """
    try:
        if isinstance(message, CompressedImage):
            return _decompress(message)
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


def _convert(message: ImageMessage) -> Image:
    """A raw image in bgr8."""
    pixels = _pixels(message)
    encoding = ALIASES.get(message.encoding, message.encoding)
    if encoding.endswith("16"):
        # cv_bridge does this in distributions only; its factor is the same.
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
        encoding = encoding[: -len("16")] + "8"
    if encoding == "bgr8":
        return np.asarray(pixels, dtype=np.uint8)
    if encoding in OPENCV_CODES:
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


def _pixels(message: ImageMessage) -> NDArray[Any]:
    """A view of the message's values without the padding, (H, W) or (H, W, channels).

    Raises:
        ImageError: Encoding, sizes and data do not fit each other.
    """
    height, width, step = message.height, message.width, message.step
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise ImageError(f"encoding {message.encoding!r} is unknown; known: {', '.join(CHANNELS)}")
    if height == 0 or width == 0:
        raise ImageError(f"it is empty: {width}x{height} pixels")
    if max(height, width) > MAX_SIDE:
        raise ImageError(f"{width}x{height} pixels are more than {MAX_SIDE} a side")
    order = ">" if message.is_bigendian else "<"
    dtype = np.dtype(f"{order}u2" if message.encoding.endswith("16") else np.uint8)
    row = width * channels * dtype.itemsize
    if step < row:
        raise ImageError(f"step {step} is less than the {row} bytes of {width} {message.encoding}")
    if len(message.data) < step * height:
        raise ImageError(
            f"it is truncated: {len(message.data)} bytes, but step {step} x height {height} is "
            f"{step * height}"
        )
    if channels == 2 and width % 2:
        raise ImageError(f"width {width} is odd, but {message.encoding} shares colour among two")
    shape = (height, width) if channels == 1 else (height, width, channels)
    strides = (step, dtype.itemsize * channels, dtype.itemsize)[: len(shape)]
    pixels: NDArray[Any] = np.ndarray(shape, dtype, buffer=message.data, strides=strides)
    native = sys.byteorder == "little"
    return pixels if dtype.itemsize == 1 or native != message.is_bigendian else pixels.astype("=u2")


def _decompress(message: CompressedImage) -> Image:
    """A JPEG or PNG in bgr8.

    OpenCV is called without cv_bridge, which would give grey files without the third axis.
    """
    data = np.frombuffer(message.data, np.uint8)
    if data.size == 0:
        raise ImageError("it is empty: 0 bytes")
    _check_jpeg_end(data)
    # As the raw image of the same camera: the picture as it was taken, never turned.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(data, flags)
    if image is None:
        raise ImageError(f"its {data.size} bytes of format {message.format!r} cannot be decoded")
    if max(image.shape) > MAX_SIDE:
        raise ImageError(f"{image.shape[1]}x{image.shape[0]} pixels: more than {MAX_SIDE} a side")
    return np.asarray(image, dtype=np.uint8)


def _check_jpeg_end(data: NDArray[np.uint8]) -> None:
    """Refuse a JPEG that was cut off: the decoder would fill the rest with grey."""
    content = data.tobytes()
    start_of_image, start_of_scan, end_of_image = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
    if content.startswith(start_of_image) and (
        content.rfind(end_of_image) < content.rfind(start_of_scan) or end_of_image not in content
    ):
        raise ImageError(f"its JPEG is truncated: {data.size} bytes without an end marker")
