"""Detectors for nodes inside the test's process: they find nothing, and count."""

import torch

from centernet_ros.detector import Detector
from centernet_ros.presets import ModelPreset

PRESET = ModelPreset("detection2d", "resnet18", ("car",), input_size=(64, 96))


class CountingDetector(Detector):
    """Finds nothing, and counts how often it is asked."""

    def __init__(self, parameters=None):
        super().__init__(self.count, PRESET)
        self.calls = 0
        self.batches = []

    def count(self, batch):
        self.calls += 1
        self.batches.append(len(batch))
        count, grid = len(batch), (batch.shape[2] // 4, batch.shape[3] // 4)
        maps = {name: torch.zeros(count, 2, *grid) for name in ("size", "offset")}
        return {"heatmap": torch.full((count, 1, *grid), -9.0), **maps}


class InSpace(Detector):
    """Has a task with places in space, and finds nothing."""

    def __init__(self):
        preset = ModelPreset("detection3d", "resnet18", ("car",), input_size=(64, 96))
        super().__init__(self.answer, preset, score_threshold=0.5)

    def answer(self, batch):
        grid = batch.shape[2] // 4, batch.shape[3] // 4
        return {
            head.name: torch.full((len(batch), head.channels, *grid), -9.0)
            for head in self.task.heads
        }
