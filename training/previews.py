"""Pictures of what a network sees, beside what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from centernet_ros.drawing import draw_results, unscored
from centernet_ros.image import Image
from centernet_ros.models.centernet import CenterNet
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import Detections2D
from centernet_ros.tasks.base import Task
from training.data.loading import EvaluationSet
from training.data.sample import SampleSet
from training.engine import network_reader

IMAGES = 4
"""Images of a preview."""

WIDTH = 640
"""Width of each picture in pixels."""

THRESHOLD = 0.3
"""Least score of a result that is drawn."""


@torch.inference_mode()
def write_preview(
    path: Path,
    model: CenterNet,
    task: Task[Any],
    preset: ModelPreset,
    samples: SampleSet,
    *,
    count: int = IMAGES,
) -> None:
    """Draw images spread over a set: on the left the truth, on the right what was found.

    Raises:
        OSError: The file cannot be written.
    """
    training = model.training
    model.eval()
    read = network_reader(model, task, preset)
    items = EvaluationSet(samples, preset)
    rows = []
    for index in np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int).tolist():
        item = items[index]
        found: Detections2D = read([item])[0]
        found = found[found.scores >= THRESHOLD]
        sample = item[0]
        pair = [
            draw_results(sample.image, results, preset.class_names, sample.camera)
            for results in (unscored(sample.truth), found)
        ]
        rows.append(np.hstack([_scaled(picture) for picture in pair]))
    model.train(training)
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise OSError(f"{path}: this picture cannot be written")


def _scaled(picture: Image) -> Image:
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    scaled: Image = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return scaled
