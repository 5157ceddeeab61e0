"""Pixels as cameras send them and files hold them, to arrays with blue first; without ROS."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from centernet_ros.image import LARGEST_SIDE, Image

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".jp2", ".avif"),
)
"""File extensions, in lower case, of the files that are taken for images."""

MAX_PIXELS = 1 << 27
"""Pixels of a JPEG or PNG: ten times those of most cameras, and 400 MB of memory."""

_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"

_START_OF_SCAN = b"\xda"

_START_OF_FRAME = frozenset(
    bytes([marker]) for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC)
)
"""Markers of a JPEG's segment that tells its size."""

JPEG_PIXELS_PER_BYTE = 8 * 64
"""At most: 64 pixels of a block take one bit at least."""

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
"""Values per pixel of each encoding of sensor_msgs/Image that is understood."""

ALIASES = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
"""What OpenCV's plain types mean by custom."""

OPENCV_CODES = {
    "rgb8": cv2.COLOR_RGB2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "mono8": cv2.COLOR_GRAY2BGR,
    # OpenCV names a mosaic by its second row's second and third value.
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
    "yuv422": cv2.COLOR_YUV2BGR_UYVY,
    "uyvy": cv2.COLOR_YUV2BGR_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2,
    "yuyv": cv2.COLOR_YUV2BGR_YUY2,
}
"""Conversions of 8-bit encodings to bgr8."""


class ImageError(ValueError):
    """Data that hold no usable image; the message says why in one sentence."""


class RawImage(Protocol):
    """What a sensor_msgs/Image holds, whoever deserialised it."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


def raw_to_bgr(message: RawImage) -> Image:
    """The picture of a raw image message, (H, W, 3) uint8 with blue first.

    Of a bgr8 message it is a view: valid as long as the message, not to be written to.

    Raises:
        ImageError: The message is damaged, empty or of an unknown encoding.
    """
    pixels, encoding = to_8_bits(pixels_of(message), message.encoding)
    if encoding == "bgr8":
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, OPENCV_CODES[encoding]), dtype=np.uint8)
    except cv2.error as error:
        raise ImageError(f"OpenCV cannot convert it: {str(error).strip()}") from None


def to_8_bits(pixels: NDArray[Any], encoding: str) -> tuple[NDArray[np.uint8], str]:
    """The same pixels, and their encoding, with one byte per value; see `pixels_of`."""
    encoding = ALIASES.get(encoding, encoding)
    if encoding.endswith("16"):
        pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=255 / 65535))
        encoding = encoding[: -len("16")] + "8"
    return pixels, encoding


def pixels_of(message: RawImage) -> NDArray[Any]:
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
    if max(height, width) > LARGEST_SIDE:
        raise ImageError(f"{width}x{height} pixels are more than {LARGEST_SIDE} a side")
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


def file_to_bgr(data: NDArray[np.uint8], kind: str, *, turn: bool = False) -> Image:
    """The picture in the bytes of a JPEG, PNG or other file, (H, W, 3) uint8 with blue first.

    Args:
        data: all bytes of the file.
        kind: what they claim to be, for messages.
        turn: turn a photograph upright as its EXIF data say; without, it stays as it was taken.

    Raises:
        ImageError: The bytes are cut off, or no picture that OpenCV can read.
    """
    if data.size == 0:
        raise ImageError("it is empty: 0 bytes")
    _check_jpeg_end(data)
    _check_declared_size(data)
    flags = cv2.IMREAD_COLOR | (0 if turn else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise ImageError(f"OpenCV cannot convert it: {str(error).strip()}") from None
    if image is None:
        raise ImageError(f"its {data.size} bytes of {kind} cannot be decoded")
    if max(image.shape) > LARGEST_SIDE:
        raise ImageError(
            f"{image.shape[1]}x{image.shape[0]} pixels: more than {LARGEST_SIDE} a side"
        )
    return np.asarray(image, dtype=np.uint8)


def _check_jpeg_end(data: NDArray[np.uint8]) -> None:
    if is_cut_jpeg(data.tobytes()):
        raise ImageError(f"its JPEG is truncated: {data.size} bytes without an end marker")


def is_cut_jpeg(content: bytes) -> bool:
    """Whether this is a JPEG that was cut off: the decoder would fill the rest with grey.

    What follows its end counts as nothing: telephones append a film there, cameras their own data.
    """
    if not content.startswith(_START_OF_IMAGE):
        return False
    # No end marker can stand in the data of the picture, but one does in a preview before them.
    start = 2
    for marker, position in _segments(content):
        start = position + (marker != _START_OF_SCAN) * _segment_length(content, position)
    return content.find(_END_OF_IMAGE, start) < 0


def _check_declared_size(data: NDArray[np.uint8]) -> None:
    """Refuse a size that the bytes cannot hold, or that nobody wants, before memory is taken."""
    height, width = declared_size(data.tobytes())
    if height * width > MAX_PIXELS:
        raise ImageError(f"it declares {width}x{height} pixels, more than {MAX_PIXELS}")
    # The decoder would fill the rest with grey.
    if data[0] == 0xFF and height * width > JPEG_PIXELS_PER_BYTE * data.size:
        raise ImageError(f"it declares {width}x{height} pixels, too many for {data.size} bytes")


def declared_size(content: bytes) -> tuple[int, int]:
    """Height and width that a JPEG or PNG says it has; 0, 0 where it says none, or is neither."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return int.from_bytes(content[20:24], "big"), int.from_bytes(content[16:20], "big")
    if content.startswith(_START_OF_IMAGE):
        for marker, position in _segments(content):
            if marker in _START_OF_FRAME:
                size = content[position + 5 : position + 9]
                return int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
    return 0, 0


def _segments(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Marker and position of each segment of a JPEG, to the start of its first scan."""
    position = 2
    while content[position : position + 1] == b"\xff":
        marker = content[position + 1 : position + 2]
        if marker == b"\xff":  # any number of them may stand before a marker
            position += 1
            continue
        yield marker, position
        if marker == _START_OF_SCAN:
            return
        position += _segment_length(content, position)


def _segment_length(content: bytes, position: int) -> int:
    """Bytes of the segment at a position, with its marker."""
    return 2 + int.from_bytes(content[position + 2 : position + 4], "big")
