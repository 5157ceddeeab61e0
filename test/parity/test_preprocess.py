"""From pictures to network inputs and the maps between them, in every mode and at every scale."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from centernet_ros.detector import Detector
from centernet_ros.image import view_of
from centernet_ros.presets import IMAGENET_MEAN, IMAGENET_STD, Fit, ModelPreset
from centernet_ros.structures import View

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "data" / "images"
IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
MODES = {
    "keep31": {"fit": Fit.KEEP},
    "keep127": {"fit": Fit.KEEP, "pad_to": 128},
    "fix512": {"mean": (0.408, 0.447, 0.470), "std": (0.289, 0.274, 0.278)},
    "fix384voc": {"input_size": (384, 384), **IMAGENET},
    "ddd_fix": {"input_size": (384, 1280), "fit": Fit.WIDTH, **IMAGENET},
    "ddd_keep": {"input_size": (384, 1280), "fit": Fit.CENTRE, **IMAGENET},
}
"""The authors' modes as presets."""

DRAWN = {
    "blocks_a": ("blocks_image", 1, 427, 640),
    "blocks_b": ("blocks_image", 2, 375, 500),
    "blocks_kitti": ("blocks_image", 3, 375, 1242),
    "blocks_odd": ("blocks_image", 4, 333, 517),
    "smooth": ("smooth_image", 5),
}
"""Formula, shift of its seed and further arguments of each drawn picture."""

IMAGES = [*DRAWN, "jpg:16004479832_a748d55f21_k.jpg", "jpg:17790319373_bd19b24cfc_k.jpg"]
IN_3D = ("blocks_kitti", "smooth", "blocks_a")
GROUPS = [(i, m) for i in IMAGES for m in MODES if not m.startswith("ddd") or i in IN_3D]


def preset_of(mode):
    return ModelPreset("detection2d", "resnet18", ("thing",), **MODES[mode])


def picture(reference, name):
    """An image (H, W, 3) uint8, blue first, the very one of the authors' numbers."""
    if name in DRAWN:
        formula, shift, *size = DRAWN[name]
        seed = reference.seeds["preprocess"] + shift
        image = getattr(reference.formulas, formula)(seed, *size)
    else:
        path = PHOTOGRAPHS / name.removeprefix("jpg:")
        if not path.exists():
            pytest.skip(f"the photograph {path} is not in the repository")
        image = cv2.imread(str(path))
    expected = reference.json("preprocess/preprocess.json")[f"image/{name}"]
    assert list(image.shape) == expected["shape"]
    assert hashlib.sha256(image.tobytes()).hexdigest() == expected["sha256"]
    return image


def scales_of(reference, image, mode):
    """Scale of each key of a group; 3D has one only, and no word for it."""
    keys = [
        k
        for k in reference.json("preprocess/preprocess.json")
        if f"{k}/".startswith(f"{image}/{mode}/")
    ]
    if not keys:
        pytest.fail(f"no group {image}/{mode} in preprocess/preprocess.json")
    return {key: float(key.partition("/scale")[2] or 1) for key in keys}


def test_every_group_is_tested(reference):
    keys = [k.split("/") for k in reference.json("preprocess/preprocess.json") if "/" in k]
    assert {(k[0], k[1]) for k in keys if k[0] != "image"} == set(GROUPS)
    assert {k[1] for k in keys if k[0] == "image"} == set(IMAGES)


@pytest.mark.parametrize(("image", "mode"), GROUPS)
def test_views(reference, image, mode):
    """Centre and size of the input's part of the picture, as three affine maps."""
    numbers = reference.json("preprocess/preprocess.json")
    height, width, _ = numbers[f"image/{image}"]["shape"]
    for key, scale in scales_of(reference, image, mode).items():
        expected = numbers[key]
        view = view_of((height, width), preset_of(mode), scale=scale)
        assert list(view.input_size) == expected["tensor_shape"][2:]
        assert list(view.grid_size) == [expected["out_height"], expected["out_width"]]
        # The authors' maps begin at the resized picture.
        resize = torch.diag(torch.tensor([scale, scale, 1], dtype=torch.float64))
        for found, theirs in [
            (view.to_input, expected["trans_input"]),
            (view.to_input / 4, expected["trans_output"]),
        ]:
            wanted = torch.tensor(theirs, dtype=torch.float64) @ resize
            torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)
        cells = torch.tensor([[0.0, 0], [1, 0], [0, 1]], dtype=torch.float64)
        inverse = torch.tensor(expected["trans_output_inv"], dtype=torch.float64)
        wanted = (cells @ inverse[:, :2].T + inverse[:, 2]) / scale
        torch.testing.assert_close(view.to_image(cells), wanted, rtol=1e-6, atol=1e-6)
        (x, y), s = expected["c"], expected["s"]
        middle = view.to_grid(torch.tensor([x, y], dtype=torch.float64) / scale)
        assert middle.tolist() == pytest.approx([view.grid_size[1] / 2, view.grid_size[0] / 2])
        shown = view.input_size[1] / view.to_input[0, 0].item() * scale
        assert shown == pytest.approx(s[0] if isinstance(s, list) else s)


@pytest.mark.parametrize(("image", "mode"), GROUPS)
def test_inputs(reference, image, mode):
    """What the network is given, and its mirror image."""
    numbers, values = (
        reference.json("preprocess/preprocess.json"),
        reference.npz("preprocess/preprocess.npz"),
    )
    preset, pixels = preset_of(mode), picture(reference, image)
    for key, scale in scales_of(reference, image, mode).items():
        flip = f"{key}/val_flip" in values
        detector = Detector(lambda batch: {"input": batch}, preset, flip=flip)
        view = view_of(pixels.shape[:2], preset, scale=scale)
        batch = detector.infer(detector.prepare([pixels], [view]))["input"]
        assert list(batch.shape) == numbers[key]["tensor_shape"]
        assert str(batch.dtype).removeprefix("torch.") == numbers[key]["dtype"]
        assert batch.mean().item() == pytest.approx(numbers[key]["mean"], abs=1e-3)
        assert batch.std(correction=0).item() == pytest.approx(numbers[key]["std"], abs=1e-3)
        seed = reference.seeds["preprocess"] + 99
        sample = reference.formulas.sample_index(seed, batch[0].numel(), 200)
        channels = sample // (batch.shape[2] * batch.shape[3])
        # Another OpenCV of the fourth generation may round a grey level differently.
        tolerance = 1 / 255 / np.array(preset.std)[channels] + 1e-6
        for item, name in zip(batch, ("val", "val_flip"), strict=False):
            miss = np.abs(item.flatten()[sample].numpy() - values[f"{key}/{name}"])
            assert (miss <= tolerance).all(), (key, name, miss.max())


def affine_view(case, angle):
    """A view whose grid shows a turned piece of a picture, as wide as its width says."""
    (x, y), width = case["c"], np.atleast_1d(case["s"])[0]
    columns, rows = case["out_wh"]
    cos, sin = np.cos(angle) * columns / width, np.sin(angle) * columns / width
    linear = np.array([[cos, sin], [-sin, cos]])
    affine = np.column_stack([linear, [columns / 2, rows / 2] - linear @ [x, y]])
    # The input has four pixels to a cell.
    return View((rows, columns), (4 * rows, 4 * columns), 4 * torch.from_numpy(affine))


def test_affine_maps(reference):
    """Any centre, width, rotation and output size, there and back."""
    cases = reference.json("preprocess/preprocess.json")["affine_cases"]
    assert cases
    for case in cases:
        points = torch.tensor(case["pts"])
        turned, straight = affine_view(case, np.deg2rad(case["rot"])), affine_view(case, 0)
        corner = [row[2] for row in case["inv"]]
        for found, expected in [
            (turned.to_input / 4, case["mat"]),
            (turned.to_grid(points), case["pts_affine"]),
            (turned.to_image(torch.zeros(2)), corner),
            # Results are mapped back without a rotation.
            (straight.to_image(points), case["transform_preds"]),
        ]:
            wanted = torch.tensor(expected, dtype=torch.float64)
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-3)
