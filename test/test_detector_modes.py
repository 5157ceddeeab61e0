"""Testing modes of the Detector, and what it takes from its preset and hands to the task."""

import numpy as np
import pytest
import torch

from centernet_ros.detector import Detector
from centernet_ros.image import view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics

CLASSES = ("blue", "green", "red")
FITS = [
    {"input_size": (96, 128)},
    {"input_size": (96, 160), "fit": Fit.WIDTH},
    {"fit": Fit.KEEP},
]


def preset(**options):
    return ModelPreset("detection2d", "resnet18", CLASSES, **options)


def eyes(batch):
    """A network that sees: a cell's logit is its brightness in blue, green or red.

    Every box is four cells wide and two high. What it says of an image depends on no other.
    """
    cells = torch.nn.functional.avg_pool2d(batch, 4)
    size = torch.tensor([4.0, 2.0]).view(1, 2, 1, 1).expand(len(batch), 2, *cells.shape[2:])
    return {"heatmap": 4 * cells, "size": size, "offset": torch.full_like(size, 0.5)}


def seeing(*, flip=False, scales=(1,), nms=False, max_detections=None, max_results=None, **options):
    modes = {"flip": flip, "scales": scales, "nms": nms}
    limits = {"max_detections": max_detections, "max_results": max_results}
    return Detector(eyes, preset(**options), **modes, **limits)


def picture(height, width, *spots):
    """Black, with spots of 8x8 pixels at (channel, x, y, brightness)."""
    image = np.zeros((height, width, 3), np.uint8)
    for channel, x, y, brightness in spots:
        image[y : y + 8, x : x + 8, channel] = brightness
    return image


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_same(result, expected):
    """Equal up to what batching may change in the last bits."""
    torch.testing.assert_close(result.scores, expected.scores, rtol=0, atol=1e-5)
    assert torch.equal(result.labels, expected.labels)
    torch.testing.assert_close(result.boxes, expected.boxes, rtol=0, atol=1e-2)


# --- testing modes


def one_eyed(batch):
    """Sees well in the left half of its input, and badly in the right one."""
    maps = eyes(batch)
    half = maps["heatmap"].shape[3] // 2
    maps["heatmap"] = maps["heatmap"].clone()
    maps["heatmap"][..., half:] -= 4
    maps["size"] = maps["size"] + torch.arange(2 * half)
    return maps


def test_flip_averages_what_both_sides_show():
    # Kept resolution: the centre of the input is that of the image.
    image = picture(88, 112, (2, 8, 20, 255), (2, 96, 20, 255))
    plain, flipped = (
        Detector(one_eyed, preset(fit=Fit.KEEP), max_detections=8, flip=flip)(image)
        for flip in (False, True)
    )
    assert plain.scores[0] - plain.scores[-1] > 0.01
    # Both spots are seen well once and badly once.
    assert flipped.labels.tolist() == [2] * 8
    assert flipped.scores.tolist() == pytest.approx([flipped.scores[0].item()] * 8, abs=1e-6)
    mean = (plain.scores[0] + plain.scores[-1]) / 2
    assert flipped.scores[0].item() == pytest.approx(mean.item(), abs=1e-6)
    # The sizes of a column and of its mirror image, averaged, are the same everywhere.
    widths = flipped.boxes[:, 2] - flipped.boxes[:, 0]
    assert widths.tolist() == pytest.approx([(4 + 31 / 2) * 4] * 8)
    centres = (flipped.boxes[:, :2] + flipped.boxes[:, 2:]) / 2
    expected = (plain.boxes[:, :2] + plain.boxes[:, 2:]) / 2
    assert sorted(centres.tolist()) == sorted(expected.tolist())


def test_flip_of_many_images_equals_that_of_each():
    detector = Detector(one_eyed, preset(fit=Fit.KEEP), flip=True, score_threshold=0.9)
    images = [noise(60, 80, 1), noise(90, 40, 2), noise(60, 80, 3)]
    for image, result in zip(images, detector(images), strict=True):
        assert_same(result, detector(image))


def test_without_flip_the_network_runs_once():
    batches = []

    def backend(batch):
        batches.append(len(batch))
        return eyes(batch)

    Detector(backend, preset())(noise(60, 80))
    Detector(backend, preset(), flip=True)(noise(60, 80))
    assert batches == [1, 2]


@pytest.mark.parametrize("options", FITS)
def test_every_scale_finds_the_spot_where_it_is(options):
    for scale in (0.5, 0.75, 1, 1.5):
        detector = seeing(**options, scales=[scale], max_detections=1)
        image = np.zeros((144, 240, 3), np.uint8)
        image[48:96, 60:120, 1] = 255
        box = detector(image).boxes[0]
        x, y = ((box[:2] + box[2:]) / 2).tolist()
        assert 58 <= x <= 122
        assert 46 <= y <= 98
        # Four cells wide at every scale, so wider in the image the smaller it was made.
        view = view_of((144, 240), detector.preset, scale=scale)
        cell = 4 / view.to_input[0, 0].item()
        assert (box[2] - box[0]).item() == pytest.approx(4 * cell, rel=1e-4)


def test_scales_are_merged():
    image = picture(88, 112, (2, 40, 20, 255))
    sizes = []

    def backend(batch):
        sizes.append(tuple(batch.shape[2:]))
        return eyes(batch)

    options = {"max_detections": 4, "scales": (0.5, 1)}
    result = Detector(backend, preset(fit=Fit.KEEP), **options)(image)
    assert sizes == [(64, 64), (96, 128)]
    assert len(result) == 4
    assert (result.scores.diff() <= 0).all()
    everything = Detector(eyes, preset(fit=Fit.KEEP), max_results=8, **options)(image)
    assert 4 < len(everything) <= 8
    # The better score of two overlapping boxes stays as it is.
    best = max(
        Detector(eyes, preset(fit=Fit.KEEP), max_detections=1, scales=[scale])(image).scores[0]
        for scale in (0.5, 1)
    )
    assert everything.scores[0] == best


def test_nms_lowers_the_scores_of_overlapping_boxes():
    image = picture(88, 112, (2, 40, 20, 255))
    plain = seeing(fit=Fit.KEEP, max_detections=4)(image)
    quiet = seeing(fit=Fit.KEEP, max_detections=4, nms=True)(image)
    # The spot's four cells are four boxes, of the same score.
    assert quiet.scores[0] == plain.scores[0]
    assert (quiet.scores[1:] < 0.9 * plain.scores[0]).all()


def test_list_equals_single_images_in_all_modes():
    detector = seeing(fit=Fit.KEEP, flip=True, scales=(0.5, 1), nms=True, max_detections=20)
    images = [noise(60, 80, 1), noise(90, 40, 2), noise(60, 80, 3)]
    for image, result in zip(images, detector(images), strict=True):
        assert_same(result, detector(image))
    assert detector([]) == []


def test_three_steps_are_one_scale_in_all_modes():
    detector = seeing(input_size=(96, 128), flip=True, nms=True)
    view = view_of((60, 80), detector.preset)
    image = noise(60, 80)
    (result,) = detector.decode(detector.infer(detector.prepare([image], [view])), [view])
    assert_same(result, detector(image))


@pytest.mark.parametrize("scales", [(), (0,), (1, -0.5), (float("inf"),), (float("nan"),)])
def test_scales_are_factors(scales):
    with pytest.raises(ValueError, match="scale"):
        seeing(scales=scales)


# --- what the preset says


def network_3d(batch):
    """One car: at the same place before every camera."""
    grid = (batch.shape[2] // 4, batch.shape[3] // 4)
    channels = {"depth": 1, "orientation": 8, "dimensions": 3, "size": 2, "offset": 2}
    maps = {name: torch.ones(len(batch), number, *grid) for name, number in channels.items()}
    maps["heatmap"] = torch.full((len(batch), 1, *grid), -9.0)
    maps["heatmap"][:, :, 4, 5] = 3
    return maps


CAMERA = CameraIntrinsics(
    torch.tensor([[100.0, 0, 40, 0], [0, 100, 30, 0], [0, 0, 1, 0.5]], dtype=torch.float64),
    (60, 80),
)


def detector_3d(compat=False, **options):
    of_3d = ModelPreset("detection3d", "resnet18", ("car",), (64, 96), Fit.WIDTH, compat=compat)
    return Detector(network_3d, of_3d, max_detections=1, **options)


def test_peaks_are_as_many_as_the_preset_says():
    detector = seeing(fit=Fit.KEEP, max_detections=None)
    assert len(detector(noise(200, 200))) == 100
    few = Detector(eyes, preset(fit=Fit.KEEP))
    assert few.max_detections == 100
    few = Detector(eyes, ModelPreset("detection2d", "resnet18", CLASSES, max_detections=7))
    assert len(few(noise(200, 200))) == 7


def test_preset_and_options_reach_the_task():
    image = noise(60, 80)
    authors, corrected = detector_3d(compat=True)(image, CAMERA), detector_3d()(image, CAMERA)
    named = detector_3d(
        compat=True, translate_sizes=False, depth_is_homogeneous=False, fit_centre=True
    )
    # The camera stands half a metre behind its own origin.
    assert (corrected.locations - authors.locations)[0, 2].item() == pytest.approx(0.5)
    assert not torch.equal(corrected.boxes, authors.boxes)
    for mine, theirs in [
        (named(image, CAMERA), corrected),
        (detector_3d()(image, CAMERA), corrected),
    ]:
        assert torch.equal(mine.boxes, theirs.boxes)
        assert torch.equal(mine.locations, theirs.locations)
    assert seeing().keep_stale_rows is False
    assert Detector(eyes, preset(compat=True)).keep_stale_rows is True
    assert Detector(eyes, preset(compat=True), keep_stale_rows=False).keep_stale_rows is False


def test_3d_is_mirrored_but_not_resized():
    image = noise(60, 80)
    result = detector_3d(flip=True)(image, CAMERA)
    assert result.scores.item() < torch.tensor(3.0).sigmoid().item() - 0.1
    for options in ({"scales": (0.5, 1)}, {"scales": (2,)}, {"nms": True}):
        with pytest.raises(ValueError, match="detection3d has no multi-scale testing and no NMS"):
            detector_3d(**options)


def test_3d_needs_a_camera():
    with pytest.raises(ValueError, match="needs a calibration"):
        detector_3d()(noise(60, 80))


def test_one_camera_may_take_all_images():
    detector = detector_3d()
    images = [noise(60, 80, 1), noise(60, 80, 2)]
    for result in detector(images, CAMERA):
        assert torch.equal(result.locations, detector(images[0], CAMERA).locations)
    with pytest.raises(ValueError, match="calibrated"):
        detector([*images, noise(61, 80)], CAMERA)
