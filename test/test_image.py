"""The one preprocessing path: where an image lies on the input, and which values it gets."""

import numpy as np
import pytest
import torch

from centernet_ros.image import check, normalise, prepare, view_of, warp
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics

# The authors' preprocessing modes as presets.


def preset(**options):
    return ModelPreset("detection2d", "resnet18", ("thing",), **options)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("image_size", "input_size", "expected"),
    [
        # 640 / 400 = 1.6 < 192 / 100; 100 rows become 160, with 16 black ones above and below.
        ((100, 400), (192, 640), [[1.6, 0, 0], [0, 1.6, 16]]),
        # 192 / 400 = 0.48; 100 columns become 48, with 296 black ones on each side.
        ((400, 100), (192, 640), [[0.48, 0, 296], [0, 0.48, 0]]),
        # Enlarging: one pixel becomes 64.
        ((1, 1), (64, 64), [[64, 0, 0], [0, 64, 0]]),
    ],
)
def test_letterbox_touches_two_sides(image_size, input_size, expected):
    view = view_of(image_size, preset(input_size=input_size))
    assert view.input_size == input_size
    assert view.image_size == image_size
    assert view.to_input.tolist() == [pytest.approx(row, abs=1e-12) for row in expected]


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        # 375 rows become 750, of which 558 stand out.
        ((375, 320), [[2, 0, 0], [0, 2, 96 - 375]]),
        # 50 rows become 50, with 71 black ones above and below.
        ((50, 640), [[1, 0, 0], [0, 1, 71]]),
    ],
)
def test_width_fills_the_width_and_cuts_the_rows(image_size, expected):
    view = view_of(image_size, preset(input_size=(192, 640), fit=Fit.WIDTH))
    assert view.input_size == (192, 640)
    assert view.to_input.tolist() == [pytest.approx(row, abs=1e-12) for row in expected]


@pytest.mark.parametrize(
    ("image_size", "pad_to", "input_size", "shift"),
    [
        ((427, 640), 32, (448, 672), (16, 11)),
        ((333, 517), 32, (352, 544), (14, 10)),
        # A side that is a multiple already still grows by a whole step.
        ((64, 96), 32, (96, 128), (16, 16)),
        ((63, 95), 32, (64, 96), (1, 1)),
        ((1, 1), 32, (32, 32), (16, 16)),
        ((128, 127), 128, (256, 128), (1, 64)),
    ],
)
def test_keep_pads_to_the_next_multiple(image_size, pad_to, input_size, shift):
    view = view_of(image_size, preset(fit=Fit.KEEP, pad_to=pad_to))
    assert view.input_size == input_size
    assert view.to_input.tolist() == [[1, 0, shift[0]], [0, 1, shift[1]]]


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        # 32 rows stand out above and below, 64 columns are black on either side.
        ((256, 512), [[1, 0, 64], [0, 1, -32]]),
        ((191, 640), [[1, 0, 0], [0, 1, 0.5]]),
    ],
)
def test_centre_neither_scales_nor_grows(image_size, expected):
    view = view_of(image_size, preset(input_size=(192, 640), fit=Fit.CENTRE))
    assert view.input_size == (192, 640)
    assert view.to_input.tolist() == expected


@pytest.mark.parametrize(
    ("fit", "scale", "input_size", "expected"),
    [
        # 100x201 pixels become 50x100.
        (Fit.KEEP, 0.5, (64, 128), [[0.5, 0, 14], [0, 0.5, 7]]),
        # They become 150x301: the input grows along.
        (Fit.KEEP, 1.5, (160, 320), [[1.5, 0, 10], [0, 1.5, 5]]),
        # An input of a fixed size is filled by half: 50x100 of 402 columns.
        (Fit.LETTERBOX, 0.5, (256, 402), [[1, 0, 101], [0, 1, 78]]),
        (Fit.WIDTH, 0.5, (192, 402), [[1, 0, 101], [0, 1, 46]]),
        (Fit.CENTRE, 0.5, (192, 402), [[0.5, 0, 151], [0, 0.5, 71]]),
    ],
)
def test_scale_resizes_the_image_first(fit, scale, input_size, expected):
    fixed = {} if fit is Fit.KEEP else {"input_size": input_size, "pad_to": 2}
    view = view_of((100, 201), preset(fit=fit, **fixed), scale=scale)
    assert view.input_size == input_size
    assert view.resize == scale
    assert view.to_input.tolist() == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.25, 1.5])
def test_resized_pixels_land_where_the_view_says(scale):
    image = np.zeros((80, 120, 3), np.uint8)
    image[38:43, 78:83] = 255
    view = view_of((80, 120), preset(fit=Fit.KEEP), scale=scale)
    warped = warp(image, view)[..., 1].astype(float)
    centre = [
        (warped.sum(axis) * np.arange(warped.shape[1 - axis])).sum() / warped.sum()
        for axis in (0, 1)
    ]
    # Resizing keeps corners of pixels, and the view is of their centres, as the authors'.
    expected = (view.to_grid(torch.tensor([80.0, 40.0])) * 4 + (scale - 1) / 2).tolist()
    assert centre == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_is_a_factor(scale):
    with pytest.raises(ValueError, match="expected a positive factor"):
        view_of((60, 80), preset(), scale=scale)


def test_a_scale_leaves_an_image_that_can_be_warped():
    warp(noise(1, 100), view_of((1, 100), preset(), scale=327.66))
    with pytest.raises(ValueError, match="scale 400 makes 40000x400 pixels of 100x1; no side may"):
        view_of((1, 100), preset(), scale=400)


def test_a_tiny_image_keeps_a_pixel():
    tensor, view = prepare(noise(1, 1), preset(fit=Fit.KEEP), scale=0.25)
    assert tensor.shape == (3, 32, 32)
    assert view.input_size == (32, 32)


def test_pixels_land_where_the_view_says():
    image = np.zeros((75, 125, 3), np.uint8)
    image[20, 30] = 255
    view = view_of((75, 125), preset(fit=Fit.KEEP))
    row, column = np.argwhere(warp(image, view)[..., 0])[0].tolist()
    assert (view.to_grid(torch.tensor([30.0, 20.0])) * 4).tolist() == [column, row]


def test_a_large_scale_keeps_centres():
    # A blob's centre of mass, because enlarging spreads every pixel.
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:13, 20:23] = 255
    view = view_of((40, 60), preset(input_size=(256, 320)))
    warped = warp(image, view)[..., 1].astype(float)
    centre = [
        (warped.sum(axis) * np.arange(warped.shape[1 - axis])).sum() / warped.sum()
        for axis in (0, 1)
    ]
    assert centre == pytest.approx((view.to_grid(torch.tensor([21.0, 11.0])) * 4).tolist(), abs=0.1)


def test_outside_the_image_is_black_before_normalising():
    colour = torch.tensor([51, 102, 255], dtype=torch.uint8)
    image = colour.expand(64, 64, 3).numpy()
    tensor, view = prepare(image, preset(input_size=(64, 128)))
    assert view.to_input[0, 2] == 32
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (preset().mean, preset().std))
    assert tensor.shape == (3, 64, 128)
    torch.testing.assert_close(tensor[:, :, :31], (-mean / std).expand(3, 64, 31))
    inside = (torch.tensor([0.2, 0.4, 1]).view(3, 1, 1) - mean) / std
    torch.testing.assert_close(tensor[:, :, 33:95], inside.expand(3, 64, 62))


def test_normalise_works_on_each_channel():
    batch = torch.tensor([[[[51, 102, 255]]], [[[0, 0, 0]]]], dtype=torch.uint8)
    values = normalise(batch, preset(mean=(0.1, 0.2, 0.5), std=(0.5, 0.1, 0.25)))
    assert values.shape == (2, 3, 1, 1)
    assert values.dtype == torch.float32
    assert values[0].flatten().tolist() == pytest.approx([0.2, 2, 2], abs=1e-6)
    assert values[1].flatten().tolist() == pytest.approx([-0.2, -2, -2], abs=1e-6)


def test_unusual_memory_gives_the_same_input():
    image = noise(30, 50)
    expected, _ = prepare(image, preset(input_size=(64, 64)))
    locked = np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape)
    padded = np.zeros((30, 60, 3), np.uint8)
    padded[:, :50] = image
    mirrored = image[:, ::-1, ::-1].copy()
    for same in (locked, padded[:, :50], mirrored[:, ::-1, ::-1]):
        assert torch.equal(prepare(same, preset(input_size=(64, 64)))[0], expected)


def test_prepare_leaves_the_image_alone():
    image = noise(30, 50)
    before = image.copy()
    prepare(image, preset())
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((20, 30), np.uint8), r"\(20, 30\) uint8"),
        (np.zeros((20, 30, 1), np.uint8), r"\(20, 30, 1\) uint8"),
        (np.zeros((20, 30, 4), np.uint8), r"\(20, 30, 4\) uint8"),
        (np.zeros((3, 20, 30), np.uint8), r"\(3, 20, 30\) uint8"),
        (np.zeros((1, 20, 30, 3), np.uint8), r"\(1, 20, 30, 3\) uint8"),
        (np.zeros((20, 30, 3), np.float32), r"\(20, 30, 3\) float32"),
        (np.zeros((20, 30, 3), np.uint16), r"\(20, 30, 3\) uint16"),
        (np.zeros((0, 30, 3), np.uint8), "empty: 30x0 pixels"),
        (np.zeros((20, 0, 3), np.uint8), "empty: 0x20 pixels"),
        (np.zeros(0, np.uint8), r"\(0,\) uint8"),
        (np.zeros((1, 40000, 3), np.uint8), "40000x1 pixels; no side may exceed 32766"),
        # What cv2.imread answers when it cannot read a file.
        (None, "NoneType"),
    ],
)
def test_bad_image_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        prepare(image, preset())


def test_check_gives_height_and_width():
    assert check(noise(20, 30)) == (20, 30)


def test_camera_travels_with_the_view():
    camera = CameraIntrinsics.pinhole(100, (15, 10), (20, 30))
    assert prepare(noise(20, 30), preset(), camera)[1].camera is camera
    assert prepare(noise(20, 30), preset())[1].camera is None


@pytest.mark.parametrize("size", [(30, 20), (20, 31), (40, 60)])
def test_camera_of_another_size_is_refused(size):
    camera = CameraIntrinsics.pinhole(100, (15, 10), size)
    with pytest.raises(ValueError, match=r"calibrated for .*, image is \(20, 30\)"):
        prepare(noise(20, 30), preset(), camera)


def test_levels_are_looked_up_to_the_numbers_of_the_formula():
    network = preset()
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    mean, std = torch.tensor(network.mean), torch.tensor(network.std)

    got = normalise(torch.from_numpy(images), network)

    expected = (torch.from_numpy(images).float().div(255) - mean) / std
    assert torch.equal(got, expected.permute(0, 3, 1, 2))
    assert got.is_contiguous()
