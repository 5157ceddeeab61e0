"""Real images of every form train some steps and are measured, from the command line on."""

import json
from pathlib import Path

import pytest

from centernet_ros.checkpoint import read_checkpoint
from training.train import main

DATA = Path(__file__).parents[3] / "shared" / "data"

CASES = {
    "coco": (
        "detection2d",
        "{kind: coco, root: coco,"
        " train: {annotations: annotations/instances_train2017_subset.json,"
        " images: images/train2017},"
        " validation: {annotations: annotations/instances_val2017_subset.json,"
        " images: images/val2017}, ignored_as_objects: true}",
        80,
        "ap50",
    ),
    "people": (
        "pose",
        "{kind: coco, root: coco,"
        " train: {annotations: annotations/person_keypoints_train2017_subset.json,"
        " images: images/train2017},"
        " validation: {annotations: annotations/person_keypoints_val2017_subset.json,"
        " images: images/val2017}}",
        1,
        "ap50",
    ),
    "voc": (
        "detection2d",
        "{kind: voc, root: voc, train: {folders: [VOC2012_100]},"
        " validation: {folders: [VOC2012_100]}}",
        20,
        "mean_ap07",
    ),
    "cells": (
        "detection2d",
        "{kind: voc, root: voc/BCCD, train: {folders: [.], list: ImageSets/Main/trainval.txt},"
        " validation: {folders: [.], list: ImageSets/Main/test.txt}}",
        3,
        "mean_ap",
    ),
    "kitti": (
        "detection3d",
        "{kind: kitti, root: kitti, train: {folder: training, list: ImageSets/train.txt},"
        " validation: {folder: training, list: ImageSets/val.txt}}",
        3,
        "Car",
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "cells",
        "kitti",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("coco", "people", "voc")),
    ],
)
def test_real_images_train_and_are_measured(name, tmp_path):
    task, data, num_classes, figure = CASES[name]
    if not (DATA / "kitti").is_dir():
        pytest.skip(f"{DATA} is not there")
    wide = task == "detection3d"
    config = tmp_path / "run.yaml"
    config.write_text(
        f"task: {task}\n"
        "backbone: resnet18_pyramid\n"
        f"input_size: {[96, 320] if wide else [128, 128]}\n"
        f"fit: {'width' if wide else 'letterbox'}\n"
        f"output: {tmp_path / 'run'}\n"
        f"data: {data}\n"
        f"augment: {{placement: {'random_shift' if wide else 'random_crop'}, light: 0.1,"
        f" keep_geometry: {0.5 if wide else 0}}}\n"
        "optimiser: {batch_size: 2, epochs: 2, warmup_steps: 0}\n"
    )
    root = DATA / {"people": "coco", "cells": "voc/BCCD"}.get(name, name)
    options = [f"data.root={root}", "data.limit=4", "data.workers=0"]
    sets = [part for option in options for part in ("--set", option)]

    assert main(["--config", str(config), "--device", "cpu", *sets]) == 0

    steps = [json.loads(line) for line in (tmp_path / "run/log.jsonl").open()]
    assert len(steps) == 4
    _, preset, notes = read_checkpoint(tmp_path / "run/weights.safetensors")
    assert len(preset.class_names) == num_classes
    assert figure in notes["metrics"]
