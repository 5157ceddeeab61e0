"""Image messages to arrays: encodings, padding and byte order; damaged messages are refused."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from centernet_ros.encodings import CHANNELS, ImageError, raw_to_bgr
from centernet_ros.ros.images import to_bgr, to_message

SIZE = 8, 12
BLUE, GREEN, RED, GREY = (200, 40, 90), (30, 210, 60), (20, 70, 220), (123, 123, 123)


def flat(colour):
    return np.full((*SIZE, 3), colour, np.uint8)


def bayer(image, pattern):
    """The mosaic that a sensor with this pattern of its first two rows sees."""
    channels = ["bgr".index(letter) for letter in pattern]
    mosaic = np.empty(image.shape[:2], np.uint8)
    for i, channel in enumerate(channels):
        mosaic[i // 2 :: 2, i % 2 :: 2] = image[i // 2 :: 2, i % 2 :: 2, channel]
    return mosaic


def yuv422(image, luma):
    """Luma (BT.601, 16-235) at byte `luma` of each pixel; U and V take turns in the other byte."""
    weights = np.array(
        [[24.966, 128.553, 65.481], [112, -74.203, -37.797], [-18.214, -93.786, 112]]
    )
    yuv = image / 255 @ weights.T + (16, 128, 128)
    pixels = np.empty((*image.shape[:2], 2), np.uint8)
    pixels[..., luma] = yuv[..., 0].round()
    pixels[:, ::2, 1 - luma] = yuv[:, ::2, 1].round()
    pixels[:, 1::2, 1 - luma] = yuv[:, 1::2, 2].round()
    return pixels


ENCODERS = {
    "bgr8": lambda image: image,
    "8UC3": lambda image: image,
    "rgb8": lambda image: image[..., ::-1],
    "bgra8": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2BGRA),
    "8UC4": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2BGRA),
    "rgba8": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2RGBA),
    "bgr16": lambda image: image.astype(np.uint16) * 257,
    "rgb16": lambda image: image[..., ::-1].astype(np.uint16) * 257,
    "bgra16": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2BGRA).astype(np.uint16) * 257,
    "rgba16": lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2RGBA).astype(np.uint16) * 257,
    "bayer_rggb8": lambda image: bayer(image, "rggb"),
    "bayer_bggr8": lambda image: bayer(image, "bggr"),
    "bayer_gbrg8": lambda image: bayer(image, "gbrg"),
    "bayer_grbg8": lambda image: bayer(image, "grbg"),
    "bayer_rggb16": lambda image: bayer(image, "rggb").astype(np.uint16) * 257,
    "bayer_bggr16": lambda image: bayer(image, "bggr").astype(np.uint16) * 257,
    "bayer_gbrg16": lambda image: bayer(image, "gbrg").astype(np.uint16) * 257,
    "bayer_grbg16": lambda image: bayer(image, "grbg").astype(np.uint16) * 257,
    "yuv422": lambda image: yuv422(image, 1),
    "uyvy": lambda image: yuv422(image, 1),
    "yuv422_yuy2": lambda image: yuv422(image, 0),
    "yuyv": lambda image: yuv422(image, 0),
}
GREY_ENCODERS = {
    "mono8": lambda image: image[..., 0],
    "8UC1": lambda image: image[..., 0],
    "mono16": lambda image: image[..., 0].astype(np.uint16) * 257,
}


def test_every_known_encoding_is_tested():
    assert set(ENCODERS) | set(GREY_ENCODERS) == set(CHANNELS)


@pytest.mark.parametrize("padding", [0, 10])
@pytest.mark.parametrize("encoding", CHANNELS)
def test_colours_survive(encoding, padding, image_message):
    encode = {**ENCODERS, **GREY_ENCODERS}[encoding]
    # Chroma of YUV is coarse; everything else is exact.
    tolerance = 4 if encoding.startswith(("yu", "uy")) else 0
    for colour in (BLUE, GREEN, RED, GREY) if encoding in ENCODERS else (GREY,):
        message = image_message(encode(flat(colour)), encoding, padding=padding)
        image = to_bgr(message)
        assert image.shape == (*SIZE, 3)
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - colour).max() <= tolerance


def test_rows_and_columns_stay_in_place(image_message):
    rng = np.random.default_rng(0)
    expected = rng.integers(0, 256, (7, 11, 3), np.uint8)
    for encoding in ("bgr8", "rgb8", "bgra8", "rgba8", "rgb16"):
        for padding in (0, 6):
            message = image_message(ENCODERS[encoding](expected), encoding, padding=padding)
            np.testing.assert_array_equal(to_bgr(message), expected)


@pytest.mark.parametrize("encoding", CHANNELS)
def test_without_ros_the_same_comes_out(encoding, image_message):
    rng = np.random.default_rng(1)
    values = {**ENCODERS, **GREY_ENCODERS}[encoding](rng.integers(0, 256, (*SIZE, 3), np.uint8))
    message = image_message(values, encoding, padding=4)
    np.testing.assert_array_equal(raw_to_bgr(message), to_bgr(message))


@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bayer_grbg16"])
def test_big_endian_values(encoding, image_message):
    values = {**ENCODERS, **GREY_ENCODERS}[encoding](flat(GREY))
    message = image_message(values.byteswap(), encoding)
    message.is_bigendian = 1
    np.testing.assert_array_equal(to_bgr(message), flat(GREY))


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bayer_rggb8", "yuv422"])
def test_the_order_of_bytes_does_not_matter_to_bytes(encoding, image_message):
    message = image_message(ENCODERS[encoding](flat(GREY)), encoding)
    message.is_bigendian = 1
    assert np.abs(to_bgr(message).astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("padding", [0, 5])
def test_bgr8_is_not_copied(padding, image_message):
    message = image_message(flat(RED), padding=padding)
    assert np.shares_memory(to_bgr(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": b"\0" * 287}, "truncated: 287 bytes, but step 36 x height 8 is 288"),
        ({"data": b""}, "truncated: 0 bytes"),
        ({"width": 0}, "empty: 0x8 pixels"),
        ({"height": 0}, "empty: 12x0 pixels"),
        ({"encoding": "xyz9"}, "encoding 'xyz9' is unknown; known: bgr8, "),
        ({"encoding": ""}, "encoding '' is unknown"),
        ({"step": 35}, "step 35 is less than the 36 bytes of 12 bgr8"),
        ({"step": 0}, "step 0 is less"),
        ({"height": 2**32 - 1}, "12x4294967295 pixels are more than 32766 a side"),
        ({"encoding": "yuv422", "width": 11}, "width 11 is odd"),
    ],
)
def test_damaged_images_are_refused(changes, reason, image_message):
    message = image_message(flat(RED))
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=reason):
        to_bgr(message)


def compressed(extension, image, *options):
    data = cv2.imencode(extension, image, options)[1].tobytes()
    return CompressedImage(format=extension[1:], data=data)


def test_jpeg_and_png():
    np.testing.assert_array_equal(to_bgr(compressed(".png", flat(RED))), flat(RED))
    decoded = to_bgr(compressed(".jpg", flat(RED), cv2.IMWRITE_JPEG_QUALITY, 95))
    assert np.abs(decoded.astype(int) - RED).max() <= 4


@pytest.mark.parametrize("encoding", ["bayer_rggb8", "bayer_grbg16"])
def test_a_mosaic_in_a_png_file_has_colours(encoding):
    """As image_transport sends it, which makes grey pictures of a mosaic for JPEG files only."""
    message = compressed(".png", ENCODERS[encoding](flat(RED)))
    message.format = f"{encoding}; png compressed "
    np.testing.assert_array_equal(to_bgr(message), flat(RED))


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_grey_files_have_three_channels(extension):
    image = to_bgr(compressed(extension, flat(GREY)[..., 0]))
    assert image.shape == (*SIZE, 3)
    assert np.abs(image.astype(int) - GREY).max() <= 2


def test_damaged_files_are_refused():
    message = compressed(".jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    whole = message.data.tobytes()
    for size in (3, 20, 200, len(whole) // 2, len(whole) - 2):
        message.data = whole[:size]
        with pytest.raises(ImageError, match=r"truncated|cannot be decoded"):
            to_bgr(message)
    for data, reason in ((b"", "empty: 0 bytes"), (b"no image", "8 bytes of format 'jpg'")):
        message.data = data
        with pytest.raises(ImageError, match=reason):
            to_bgr(message)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*CHANNELS, "", "32FC1"]),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(0, 200),
    st.binary(max_size=600),
    st.integers(0, 1),
)
def test_no_message_breaks_the_conversion(encoding, height, width, step, data, is_bigendian):
    message = Image(
        encoding=encoding, height=height, width=width, step=step, is_bigendian=is_bigendian
    )
    message.data.frombytes(data)
    try:
        image = to_bgr(message)
    except ImageError:
        return
    assert image.shape == (height, width, 3)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([".jpg", ".png"]), st.data())
def test_no_flipped_byte_breaks_the_decoding(extension, data):
    message = compressed(extension, np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3))
    position = data.draw(st.integers(0, len(message.data) - 1))
    message.data[position] = data.draw(st.integers(0, 255))
    try:
        image = to_bgr(message)
    except ImageError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3


def test_back_to_a_message():
    header = Header(frame_id="camera")
    image = np.random.default_rng(0).integers(0, 256, (5, 14, 3), np.uint8)[:, ::2]
    message = to_message(image, header)
    assert message.header == header
    assert (message.encoding, message.step, len(message.data)) == ("bgr8", 21, 105)
    np.testing.assert_array_equal(to_bgr(message), image)
