"""Images are read in the pixels that their labels mean, or an error names the file."""

import cv2
import numpy as np
import pytest

from training.data.images import orientation, read_image
from training.data.sample import DataError


def jpeg(path, mark=1, size=(48, 64)):
    """A picture that is bright at the top left only, with an EXIF orientation."""
    image = np.zeros((*size, 3), np.uint8)
    image[:16, :16] = 255
    content = cv2.imencode(".jpg", image)[1].tobytes()
    entry = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01" + bytes([0, mark, 0, 0])
    exif = b"Exif\0\0" + entry + b"\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    path.write_bytes(content[:2] + segment + content[2:])
    return path


def test_the_pixels_are_those_that_are_stored(tmp_path):
    image = read_image(jpeg(tmp_path / "a.jpg", mark=6), (48, 64))

    assert image.shape == (48, 64, 3)
    assert image[4, 4].min() > 200


def test_a_label_of_the_turned_image_turns_it(tmp_path):
    image = read_image(jpeg(tmp_path / "a.jpg", mark=6), (64, 48))

    assert image.shape == (64, 48, 3)
    assert image[4, 44].min() > 200


@pytest.mark.parametrize("mark", [1, 3, 6, 8])
def test_the_orientation_is_read(tmp_path, mark):
    assert orientation(jpeg(tmp_path / "a.jpg", mark)) == mark


def test_an_image_without_a_mark_is_upright(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))

    assert orientation(path) == 1


def test_another_size_than_the_labels_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"a\.jpg: the image is 64x48 pixels, .* 32x24"):
        read_image(jpeg(tmp_path / "a.jpg"), (24, 32))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_file_that_is_cut_off_is_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    cv2.imwrite(str(path), noise)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(DataError, match=rf"a\{suffix}: the file is cut off"):
        read_image(path)


def test_what_a_telephone_appends_is_no_part_of_the_image(tmp_path):
    path = jpeg(tmp_path / "a.jpg")
    alone = read_image(path)
    path.write_bytes(path.read_bytes() + b"film" + b"\xff\xda" + bytes(200_000))

    assert np.array_equal(read_image(path), alone)


# OpenCV raises an error of its own at 2^30 pixels.
HUGE = b"P6 100000 100000 255\n" + bytes(30)


@pytest.mark.parametrize("content", [b"", b"no image", HUGE])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"a\.jpg: not an image"):
        read_image(path)


def test_an_image_that_is_too_large_to_be_warped_is_named(tmp_path):
    path = tmp_path / "scan.png"
    for width in (32766, 32767):
        cv2.imwrite(str(path), np.zeros((2, width, 3), np.uint8))
        if width == 32766:
            assert read_image(path).shape == (2, width, 3)

    with pytest.raises(DataError, match=r"scan\.png: the image is 32767x2 pixels, .* exceed 32766"):
        read_image(path, (2, 32767))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.jpg: No such file"):
        read_image(tmp_path / "a.jpg")
