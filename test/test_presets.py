"""Presets: what they refuse, and their way through JSON."""

import json

import pytest
import torch
from torchvision.models import detection, segmentation

from centernet_ros.class_names import COCO_CLASSES, VOC_CLASSES
from centernet_ros.models import BACKBONES, build_model
from centernet_ros.presets import PRESETS, Fit, ModelPreset, authors_preset
from centernet_ros.tasks import TASKS

FULL = ModelPreset(
    task="detection2d",
    backbone="resnet18",
    class_names=("pedestrian", "car"),
    input_size=(384, 1280),
    fit=Fit.WIDTH,
    pad_to=128,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    max_detections=7,
    compat=True,
    harmless_precisions=("bfloat16",),
)
MINIMAL = {"task": "detection2d", "backbone": "resnet18", "class_names": ["thing"]}


@pytest.mark.parametrize("fit", Fit)
def test_json_round_trip(fit):
    preset = ModelPreset(**{**FULL.to_dict(), "fit": fit})
    again = ModelPreset.from_dict(json.loads(json.dumps(preset.to_dict())))
    assert again == preset
    assert isinstance(again.fit, Fit)
    assert isinstance(again.class_names, tuple)
    assert isinstance(again.input_size, tuple)


def test_missing_options_take_their_defaults():
    assert ModelPreset.from_dict(MINIMAL) == ModelPreset("detection2d", "resnet18", ("thing",))


def test_only_half_precisions_can_be_harmless():
    with pytest.raises(ValueError, match="harmless_precisions has 'int8', expected bfloat16, flo"):
        ModelPreset.from_dict({**MINIMAL, "harmless_precisions": ["bfloat16", "int8"]})


def test_unknown_key_is_named():
    with pytest.raises(ValueError, match=r"unknown preset key 'inputsize'; known: .*input_size"):
        ModelPreset.from_dict({**MINIMAL, "inputsize": [512, 512]})


@pytest.mark.parametrize("key", ["task", "backbone", "class_names"])
def test_missing_key_is_named(key):
    with pytest.raises(ValueError, match=f"incomplete preset: .*{key}"):
        ModelPreset.from_dict({k: v for k, v in MINIMAL.items() if k != key})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fit", "stretch", "stretch"),
        ("class_names", [], "class_names is empty"),
        # A string is a sequence too, and would give a class for every letter.
        ("class_names", "car", "class_names is 'car'"),
        ("input_size", [500, 512], r"input_size 500x512: .* multiples of 32"),
        ("input_size", [512, 500], "input_size 512x500"),
        ("input_size", [0, 512], "input_size 0x512"),
        ("input_size", [512, -32], "input_size 512x-32"),
        ("input_size", [512], "input_size"),
        ("input_size", [512, 512, 3], "input_size"),
        ("input_size", 512, "input_size"),
        ("pad_to", 0, "pad_to is 0"),
        ("pad_to", -32, "pad_to is -32"),
        # Rounding up sets the low bits, which needs a power of two.
        ("pad_to", 48, "pad_to is 48"),
        ("mean", [0.5], "mean"),
        ("std", [0.5, 0.5], "std"),
        ("std", [0.5, 0.0, 0.5], "std"),
        ("compat", "no", "compat is 'no'"),
        ("compat", 1, "compat is 1"),
        ("max_detections", 0, "max_detections is 0"),
        ("max_detections", 2.5, r"max_detections is 2\.5"),
    ],
)
def test_bad_value_is_refused(key, value, message):
    with pytest.raises(ValueError, match=message):
        ModelPreset.from_dict({**MINIMAL, key: value})
    typed = {k: tuple(v) if isinstance(v, list) else v for k, v in MINIMAL.items()}
    typed[key] = tuple(value) if isinstance(value, list) else value
    if key != "fit":  # Typed code passes a Fit.
        with pytest.raises(ValueError, match=message):
            ModelPreset(**typed)


def test_multiples_of_another_step():
    assert ModelPreset.from_dict({**MINIMAL, "input_size": [256, 128], "pad_to": 128}).pad_to == 128
    with pytest.raises(ValueError, match="multiples of 128"):
        ModelPreset.from_dict({**MINIMAL, "input_size": [256, 96], "pad_to": 128})


# --- the authors' presets


def test_every_published_file_has_a_preset():
    pascal = {f"ctdet_pascal_{n}_{s}" for n in ("dla", "resdcn18", "resdcn101") for s in (384, 512)}
    coco = {f"ctdet_coco_{n}" for n in ("dla_1x", "dla_2x", "hg", "resdcn18", "resdcn101")}
    pose = {f"multi_pose_{n}" for n in ("dla_1x", "dla_3x", "hg_1x", "hg_3x")}
    assert PRESETS.keys() == pascal | coco | pose | {"ddd_3dop", "ddd_sub"}


@pytest.mark.parametrize("name", PRESETS)
def test_authors_presets_are_of_networks_that_exist(name):
    preset = PRESETS[name]
    assert preset.compat
    assert preset.max_detections == 100
    with torch.device("meta"):
        model = build_model(preset.backbone, preset.task, len(preset.class_names))
    assert preset.pad_to == model.input_multiple
    assert len(set(preset.class_names)) == len(preset.class_names)


@pytest.mark.parametrize(
    ("name", "fit", "size", "red"),
    [
        ("ctdet_coco_hg", Fit.KEEP, (512, 512), 0.47026115),
        ("multi_pose_dla_3x", Fit.KEEP, (512, 512), 0.47026115),
        ("ctdet_pascal_dla_384", Fit.LETTERBOX, (384, 384), 0.406),
        ("ctdet_pascal_resdcn101_512", Fit.LETTERBOX, (512, 512), 0.406),
        ("ddd_3dop", Fit.WIDTH, (384, 1280), 0.406),
    ],
)
def test_inputs_are_as_published(name, fit, size, red):
    preset = PRESETS[name]
    assert (preset.fit, preset.input_size, preset.mean[2]) == (fit, size, red)


def test_classes_are_in_the_order_of_the_heat_maps():
    """By category id on COCO, by the alphabet on Pascal VOC: torchvision has both lists as well."""
    coco = detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    assert list(COCO_CLASSES) == [c for c in coco if c not in ("__background__", "N/A")]
    voc = segmentation.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"]
    assert list(VOC_CLASSES) == voc[1:]
    assert PRESETS["ddd_3dop"].class_names == ("pedestrian", "car", "cyclist")


def test_class_count_tells_the_data_set():
    for backbone in BACKBONES:
        for name in ("ctdet_coco_dla_2x", "ctdet_pascal_dla_512", "multi_pose_dla_3x", "ddd_sub"):
            like = PRESETS[name]
            preset = authors_preset(backbone, like.task, len(like.class_names))
            assert preset.backbone == backbone
            assert preset.class_names == like.class_names
            assert (preset.fit, preset.mean) == (like.fit, like.mean)
    assert all(authors_preset("dla34", task, 4) is None for task in TASKS)
    assert authors_preset("dla34", "detection2d", 3) is None
