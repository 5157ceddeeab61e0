"""Encodings without ROS; every single one is compared with cv_bridge in test/ros/test_images.py."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from centernet_ros.encodings import (
    ImageError,
    declared_size,
    file_to_bgr,
    is_cut_jpeg,
    raw_to_bgr,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)


def message(pixels, encoding, **changes):
    """A message as a bag's reader gives it."""
    fields = {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": pixels[0].nbytes,
        "data": np.frombuffer(np.ascontiguousarray(pixels), np.uint8),
    }
    return SimpleNamespace(**{**fields, **changes})


def test_colours_and_depths():
    np.testing.assert_array_equal(raw_to_bgr(message(PICTURE, "bgr8")), PICTURE)
    np.testing.assert_array_equal(raw_to_bgr(message(PICTURE[..., ::-1], "rgb8")), PICTURE)
    wide = PICTURE.astype(np.uint16) * 257
    np.testing.assert_array_equal(raw_to_bgr(message(wide, "bgr16")), PICTURE)
    swapped = message(wide.byteswap(), "bgr16", is_bigendian=1)
    np.testing.assert_array_equal(raw_to_bgr(swapped), PICTURE)
    grey = PICTURE[..., 0]
    np.testing.assert_array_equal(raw_to_bgr(message(grey, "mono8")), np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": np.zeros(179, np.uint8)}, "truncated: 179 bytes, but step 30 x height 6 is 180"),
        ({"encoding": "32FC1"}, "encoding '32FC1' is unknown; known: bgr8, "),
        ({"height": 0}, "empty: 10x0 pixels"),
    ],
)
def test_damaged_messages_are_refused(changes, reason):
    with pytest.raises(ImageError, match=reason):
        raw_to_bgr(message(PICTURE, **{"encoding": "bgr8", **changes}))


def photograph(orientation):
    """Bytes of a JPEG whose EXIF data hold an orientation: 1 upright, 6 to be turned right."""
    jpeg = cv2.imencode(".jpg", np.zeros((16, 32, 3), np.uint8))[1].tobytes()
    entry = bytes([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0])
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01" + entry + b"\x00" * 4
    exif = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    return np.frombuffer(jpeg[:2] + segment + jpeg[2:], np.uint8)


def test_photographs_are_turned_upright_on_demand():
    assert file_to_bgr(photograph(6), "a file").shape == (16, 32, 3)
    assert file_to_bgr(photograph(6), "a file", turn=True).shape == (32, 16, 3)
    assert file_to_bgr(photograph(1), "a file", turn=True).shape == (16, 32, 3)


def with_size(extension, height, width):
    """Bytes of a small picture that declares another size."""
    data = cv2.imencode(extension, PICTURE)[1].tobytes()
    if extension == ".png":
        return data[:16] + struct.pack(">II", width, height) + data[24:]
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_the_declared_size_is_read_without_decoding(extension):
    assert declared_size(with_size(extension, 6, 10)) == (6, 10)
    assert declared_size(with_size(extension, 30000, 40000)) == (30000, 40000)
    assert declared_size(photograph(1).tobytes()) == (16, 32)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"BM", b"\x89PNG"])
def test_what_declares_no_size(data):
    assert declared_size(data) == (0, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_size(".png", 30000, 30000), "declares 30000x30000 pixels, more than 134217728"),
        (with_size(".jpg", 20000, 30000), "declares 30000x20000 pixels, more than 134217728"),
        (with_size(".jpg", 3000, 3000), r"declares 3000x3000 pixels, too many for \d+ bytes"),
        (b"", "empty: 0 bytes"),
        (b"no picture", "its 10 bytes of photo.png cannot be decoded"),
        (cv2.imencode(".jpg", PICTURE)[1].tobytes()[:-20], "its JPEG is truncated"),
    ],
)
def test_damaged_files_are_refused(data, reason):
    with pytest.raises(ImageError, match=reason):
        file_to_bgr(np.frombuffer(data, np.uint8), "photo.png")


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_is_cut_off_where_its_picture_is(progressive):
    """Before its end, telephones store a preview with an end mark of its own; behind it a film."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    jpeg = cv2.imencode(".jpg", noise, flags)[1].tobytes()
    preview = b"\xff\xe1" + (2 + len(jpeg)).to_bytes(2, "big") + jpeg
    film = b"ftypmp42" + b"\xff\xda" + bytes(100000) + b"\xff\xda"
    picture = jpeg[:2] + preview + jpeg[2:]
    assert not is_cut_jpeg(picture + film)
    assert np.array_equal(
        file_to_bgr(np.frombuffer(picture + film, np.uint8), "photograph"),
        file_to_bgr(np.frombuffer(jpeg, np.uint8), "photograph"),
    )
    for length in (2, 30, len(preview) - 5, len(preview) + 10, len(picture) - 1):
        assert is_cut_jpeg(picture[:length])
    stray = jpeg[:2] + preview + b"???" + jpeg[2:]  # which decoders skip
    assert not is_cut_jpeg(stray)
    assert is_cut_jpeg(stray[:-1])
    assert not is_cut_jpeg(jpeg[:2] + b"???" + jpeg[2:])
    assert not is_cut_jpeg(b"no JPEG")
    assert not is_cut_jpeg(b"\xff\xd8\xff\xda no picture \xff\xd9"), "its end is there"
