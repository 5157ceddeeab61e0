"""Detector: one image or many of any size, each answered in its own pixels."""

import dataclasses

import numpy as np
import pytest
import torch

from centernet_ros.backends import TorchBackend
from centernet_ros.benchmark.subjects import random_model
from centernet_ros.checkpoint import CheckpointError, save_checkpoint
from centernet_ros.detector import Detector
from centernet_ros.image import prepare, view_of
from centernet_ros.models import build_model
from centernet_ros.models.sparse_heads import split_heads
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D
from centernet_ros.tasks import TASKS, build_task

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


def seeing(**options):
    of_detector = ("score_threshold", "max_detections")
    detector_options = {k: options.pop(k) for k in of_detector if k in options}
    return Detector(eyes, preset(**options), **detector_options)


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


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Random weights with a heat map that has peaks, so that the order of results is certain."""
    torch.manual_seed(0)
    model = build_model("resnet18", "detection2d", 3)
    for head in ("heatmap", "size"):
        torch.nn.init.normal_(model.heads[head][2].weight, std=1)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_checkpoint(path, model, preset(input_size=(64, 96)), dtype=torch.float16)
    return path


# --- where results lie


def test_spot_is_found_where_it_is():
    # Kept resolution, shifted by (24, 20): the spot covers cells 16-17 in x and 10-11 in y.
    result = seeing(fit=Fit.KEEP, max_detections=4)(picture(88, 112, (2, 40, 20, 255)))
    assert result.labels.tolist() == [2] * 4
    centres = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2
    assert sorted(centres.tolist()) == [[42, 22], [42, 26], [46, 22], [46, 26]]
    assert (result.boxes[:, 2:] - result.boxes[:, :2]).tolist() == [[16, 8]] * 4


@pytest.mark.parametrize("options", FITS)
def test_results_are_in_the_images_own_pixels(options):
    detector = seeing(**options, max_detections=1)
    for height, width in [(60, 80), (150, 200), (480, 640)]:
        side = height // 6
        image = np.zeros((height, width, 3), np.uint8)
        top, left = height // 2, width // 4
        image[top : top + side, left : left + side, 1] = 255
        box = detector(image).boxes[0]
        x, y = ((box[:2] + box[2:]) / 2).tolist()
        cell = 4 / view_of((height, width), detector.preset).to_input[0, 0].item()
        assert left - cell <= x <= left + side + cell
        assert top - cell <= y <= top + side + cell
        # Four cells wide, in pixels of this image.
        assert (box[2] - box[0]).item() == pytest.approx(4 * cell, rel=1e-4)


def test_best_first_and_at_most_max_detections():
    image = picture(60, 92, (0, 8, 8, 120), (1, 48, 8, 255), (2, 8, 40, 200))
    detector = seeing(fit=Fit.KEEP)
    result = detector(image)
    assert len(result) == 100
    assert (result.scores.diff() <= 0).all()
    assert result.labels[0] == 1
    detector.max_detections = 2
    assert len(detector(image)) == 2
    assert torch.equal(detector(image).scores, result.scores[:2])


def test_threshold_leaves_out_lower_scores():
    image = noise(64, 96)
    detector = seeing(fit=Fit.KEEP)
    everything = detector(image)
    limit = everything.scores[10].item()
    detector.score_threshold = limit
    kept = detector(image)
    assert len(kept) == int((everything.scores >= limit).sum()) < len(everything)
    assert torch.equal(kept.boxes, everything.boxes[: len(kept)])
    detector.score_threshold = 1.1
    nothing = detector(image)
    assert len(nothing) == 0
    assert nothing.boxes.shape == (0, 4)


# --- one and many


@pytest.mark.parametrize("options", FITS)
def test_list_equals_single_images(options):
    detector = seeing(**options, score_threshold=0.95)
    images = [noise(60, 80, 1), noise(90, 40, 2), noise(60, 80, 3), noise(33, 97, 4)]
    results = detector(images)
    assert len(results) == 4
    assert len({len(result) for result in results}) > 1
    for image, result in zip(images, results, strict=True):
        assert_same(result, detector(image))


def test_result_does_not_depend_on_its_company():
    detector = seeing(input_size=(96, 128))
    image = noise(60, 80, 1)
    alone = detector([image])[0]
    for others in ([noise(60, 80, 2)], [np.full((500, 30, 3), 255, np.uint8), noise(9, 9)]):
        assert_same(detector([*others, image])[-1], alone)
        assert_same(detector([image, *others])[0], alone)


def test_kept_resolutions_are_batched_by_input_size():
    shapes = []

    def backend(batch):
        shapes.append(tuple(batch.shape))
        return eyes(batch)

    detector = Detector(backend, preset(fit=Fit.KEEP))
    sizes = [(60, 80), (100, 40), (50, 90), (100, 41), (10, 10)]
    results = detector([noise(*size, seed) for seed, size in enumerate(sizes)])
    assert sorted(shapes) == [(1, 3, 32, 32), (2, 3, 64, 96), (2, 3, 128, 64)]
    for seed, (size, result) in enumerate(zip(sizes, results, strict=True)):
        assert_same(result, detector(noise(*size, seed)))


def test_no_image_gives_no_result():
    assert seeing()([]) == []


def test_three_steps_equal_the_call():
    detector = seeing(input_size=(96, 128), score_threshold=0.4)
    images = [noise(60, 80, 1), noise(90, 40, 2)]
    views = [view_of(image.shape[:2], detector.preset) for image in images]
    results = detector.decode(detector.infer(detector.prepare(images, views)), views)
    for result, expected in zip(results, detector(images), strict=True):
        assert_same(result, expected)


def test_one_preprocessing_path():
    image = noise(70, 110)
    detector = seeing(input_size=(96, 128))
    expected, view = prepare(image, detector.preset)
    assert torch.equal(detector.prepare([image], [view])[0], expected)


# --- what is refused


def test_camera_of_another_size_is_refused():
    camera = CameraIntrinsics.pinhole(100, (40, 30), (60, 80))
    detector = seeing()
    assert isinstance(detector(noise(60, 80), camera), Detections2D)
    with pytest.raises(ValueError, match="calibrated"):
        detector(noise(61, 80), camera)
    with pytest.raises(ValueError, match="calibrated"):
        detector([noise(60, 80), noise(61, 80)], [camera, camera])
    assert len(detector([noise(60, 80), noise(61, 80)], [camera, None])) == 2


def test_as_many_cameras_as_images():
    with pytest.raises(ValueError, match="2 images but 1 cameras"):
        seeing()([noise(60, 80)] * 2, [None])
    with pytest.raises(ValueError, match="1 image but a list of 2 cameras"):
        seeing()(noise(60, 80), [None, None])


@pytest.mark.parametrize("image", [np.zeros((60, 80), np.uint8), np.zeros((0, 80, 3), np.uint8)])
def test_bad_image_is_refused(image):
    with pytest.raises(ValueError, match="image is"):
        seeing()(image)
    with pytest.raises(ValueError, match="image is"):
        seeing()([noise(60, 80), image])


# --- from a weights file


def test_from_checkpoint(checkpoint):
    detector = Detector.from_checkpoint(checkpoint, device="cpu", score_threshold=0.05)
    assert detector.preset == preset(input_size=(64, 96))
    assert detector.score_threshold == 0.05
    images = [noise(48, 70, 1), noise(100, 100, 2), noise(48, 70, 3)]
    results = detector(images)
    assert min(len(result) for result in results) > 5
    for image, result in zip(images, results, strict=True):
        assert_same(result[:4], detector(image)[:4])


def test_path_may_be_text(checkpoint):
    by_text = Detector.from_checkpoint(str(checkpoint), "cpu", "torch", max_detections=5)
    by_path = Detector.from_checkpoint(checkpoint, "cpu", "auto", max_detections=5)
    assert_same(by_text(noise(48, 70)), by_path(noise(48, 70)))


def test_unknown_device_and_backend_are_refused(checkpoint):
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        Detector.from_checkpoint(checkpoint, device="tpu")
    with pytest.raises(ValueError, match="unknown backend 'tensorflow'"):
        Detector.from_checkpoint(checkpoint, device="cpu", backend="tensorflow")


def test_unknown_option_is_refused(checkpoint):
    with pytest.raises(TypeError, match="threshold"):
        Detector.from_checkpoint(checkpoint, device="cpu", threshold=0.5)


def test_preset_may_be_another(checkpoint):
    other = preset(input_size=(96, 128), max_detections=3)
    detector = Detector.from_checkpoint(checkpoint, "cpu", preset=other, flip=True, scales=(1, 1.5))
    assert detector.preset == other
    assert len(detector(noise(48, 70))) <= 3


def test_missing_weights_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        Detector.from_checkpoint(tmp_path / "none.safetensors", device="cpu")


@pytest.mark.parametrize("name", TASKS)
def test_a_network_is_asked_at_its_peaks_only_and_answers_the_same(name):
    model = random_model("resnet18_pyramid16", name, 2)
    of = ModelPreset(name, "resnet18_pyramid16", ("a", "b"), (64, 96))
    images = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), np.uint8) for i in range(2)]
    camera = CameraIntrinsics.pinhole(80.0, (48, 32), (64, 96))
    cpu = torch.device("cpu")
    split = Detector.from_model(model, of, cpu, "torch")
    whole = Detector(TorchBackend(model, cpu), of)
    for got, expected in zip(split(images, camera), whole(images, camera), strict=True):
        for field in dataclasses.fields(expected):
            values = (getattr(result, field.name) for result in (got, expected))
            torch.testing.assert_close(*values, rtol=1e-3, atol=1e-3, msg=field.name)

    flipped = Detector.from_model(model, of, cpu, "torch", flip=True)
    assert flipped.infer(torch.zeros(1, 3, 64, 96)).keys() == {h.name for h in whole.task.heads}


def test_whole_maps_cannot_be_averaged_without_them():
    model = random_model("resnet18_pyramid16", "detection2d", 3)
    trunk, sparse_heads = split_heads(model, build_task("detection2d", 3).heads)
    with pytest.raises(ValueError, match="flip averages whole maps"):
        Detector(lambda batch: trunk(batch)[-1], preset(), sparse_heads=sparse_heads, flip=True)
