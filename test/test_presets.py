"""Presets: what they refuse, and their way through JSON."""

import json

import pytest

from centernet_ros.presets import Fit, ModelPreset

FULL = ModelPreset(
    task="detection2d",
    backbone="resnet18",
    class_names=("pedestrian", "car"),
    input_size=(384, 1280),
    fit=Fit.WIDTH,
    pad_to=128,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
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
