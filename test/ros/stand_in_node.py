"""The node with an exact stand-in for the trained network; run as a process by the tests.

The stand-in finds bright rectangles in the image that the node hands to `prepare` and answers with
the ideal maps of exactly these boxes, so that message conversion, view, decoding and publishing are
the real ones and the truth is known. Its class is the brightest channel, its score the brightness.
"""

import os
import sys
import time

import cv2
import numpy as np
import torch

from centernet_ros.detector import Detector
from centernet_ros.presets import STREET_CLASSES, ModelPreset
from centernet_ros.ros.main import main
from centernet_ros.structures import Detections2D

PRESET = ModelPreset("detection2d", "resnet18", STREET_CLASSES, input_size=(192, 640))
BRIGHT = 160
SECONDS = float(os.environ.get("STAND_IN_SECONDS", "0"))
"""What the network takes for an image."""
LOADING = float(os.environ.get("STAND_IN_LOADING", "0"))
"""What it takes to load the network; the start of it is printed."""


def find_rectangles(image):
    """Boxes of the bright areas of an image (H, W, 3), with label and score."""
    mask = (image.max(axis=2) > BRIGHT).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    boxes, scores, labels = [], [], []
    for left, top, width, height, _ in stats[1:count]:
        colour = image[top : top + height, left : left + width].reshape(-1, 3).mean(axis=0)
        boxes.append([left, top, left + width, top + height])
        labels.append(int(colour.argmax()))
        scores.append(float(colour.max()) / 255)
    return Detections2D(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores),
        torch.tensor(labels, dtype=torch.int64),
    )


class StandIn(Detector):
    """A detector that never errs on rectangles."""

    def __init__(self):
        super().__init__(lambda maps: maps, PRESET)

    def prepare(self, images, views):
        super().prepare(images, views)
        (image,), (view,) = images, views
        return self.ideal_maps(find_rectangles(image), view)

    def infer(self, batch):
        time.sleep(SECONDS)
        return batch

    def ideal_maps(self, truth, view):
        height, width = grid = view.grid_size
        values = torch.zeros(1, len(STREET_CLASSES), height, width)
        maps = {name: torch.zeros(1, 2, height, width) for name in ("size", "offset")}
        for i in range(len(truth)):
            targets = self.task.encode(truth[[i]], view, grid)
            values[0] = values[0].maximum(targets["heatmap"] * truth.scores[i])
            row, column = divmod(int(targets["index"][0]), width)
            for name, channels in maps.items():
                channels[0, :, row, column] = targets[name][0]
        return {"heatmap": torch.logit(values, eps=1e-4), **maps}


def open_stand_in(parameters):
    if LOADING:
        print("loading", flush=True)
        time.sleep(LOADING)
    return StandIn()


if __name__ == "__main__":
    sys.exit(main(open_detector=open_stand_in))
