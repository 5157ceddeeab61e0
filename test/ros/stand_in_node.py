"""The node with an exact stand-in for the trained network; run as a process by the tests.

The stand-in finds bright rectangles in the image that the node hands to `prepare` and answers with
the ideal maps of exactly these boxes, so that message conversion, view, decoding and publishing are
the real ones and the truth is known. Its class is the brightest channel, its score the brightness.

What a rectangle does not tell follows from rules that the tests know too: a 3D box is as far as its
rectangle is low, see `DEPTH`, and all have the same size and angle; the joints of a person lie on a
diagonal of the box.
"""

import os
import sys
import threading
import time

import cv2
import numpy as np
import torch

from centernet_ros.detector import Detector
from centernet_ros.presets import KITTI_CLASSES, Fit, ModelPreset
from centernet_ros.ros.main import main
from centernet_ros.structures import NUM_JOINTS, Detections2D, Detections3D, Poses

PRESETS = {
    "detection2d": ModelPreset("detection2d", "resnet18", KITTI_CLASSES, (192, 640)),
    "detection3d": ModelPreset("detection3d", "resnet18", KITTI_CLASSES, (192, 640), Fit.WIDTH),
    "pose": ModelPreset("pose", "resnet18", ("person",), (192, 640)),
}
BRIGHT = 160
DEPTH = 1500.0
"""Metres times pixels of a rectangle's height."""
DIMENSIONS = 1.5, 1.7, 4.25
ALPHA = 0.6

SECONDS = float(os.environ.get("STAND_IN_SECONDS", "0"))
"""What the network takes for an image."""
LOADING = float(os.environ.get("STAND_IN_LOADING", "0"))
"""What it takes to load the network; the start of it is printed."""
CONVERTING = float(os.environ.get("STAND_IN_CONVERTING", "0"))
"""What a thread takes to get another executor ready, from the start on."""
TASK = os.environ.get("STAND_IN_TASK", "detection2d")


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


def truth_of(found):
    """Rectangles with what the task adds to them."""
    boxes, count = found.boxes, len(found)
    values = {"boxes": boxes, "scores": found.scores, "labels": found.labels}
    if TASK == "detection3d":
        depths = DEPTH / (boxes[:, 3] - boxes[:, 1])
        return Detections3D(
            **values,
            dimensions=torch.tensor(DIMENSIONS).repeat(count, 1),
            locations=torch.stack([torch.zeros(count), torch.zeros(count), depths], dim=1),
            yaws=torch.zeros(count),
            alphas=torch.full((count,), ALPHA),
        )
    if TASK == "pose":
        along = torch.linspace(0.1, 0.9, NUM_JOINTS).view(1, -1, 1)
        values["labels"] = torch.zeros_like(found.labels)
        keypoints = boxes[:, None, :2] + along * (boxes[:, None, 2:] - boxes[:, None, :2])
        return Poses(**values, keypoints=keypoints, keypoint_scores=torch.ones(count, NUM_JOINTS))
    return found


class StandIn(Detector):
    """A detector that never errs on rectangles."""

    def __init__(self):
        # The middle of a rectangle is where the centre of its 3D box appears.
        middles = {"fit_centre": False} if TASK == "detection3d" else {}
        super().__init__(lambda maps: maps, PRESETS[TASK], **middles)

    def prepare(self, images, views):
        parts = [
            self.ideal_maps(truth_of(find_rectangles(image)), view)
            for image, view in zip(images, views, strict=True)
        ]
        self.maps = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return super().prepare(images, views)

    def infer(self, batch):
        time.sleep(SECONDS)
        return self.maps

    def ideal_maps(self, truth, view):
        """Raw maps (1, C, H, W) that decode to the truth."""
        height, width = grid = view.grid_size
        maps = {head.name: torch.zeros(head.channels, height, width) for head in self.task.heads}
        for i in range(len(truth)):
            targets = self.task.encode(truth[[i]], view, grid)
            for head in self.task.heads:
                target = targets[head.name]
                if head.initial_bias is not None:
                    maps[head.name] = maps[head.name].maximum(target * truth.scores[i])
                    continue
                kind = "joint_" if head.name == "joint_offset" else ""
                mask = targets[f"{kind}mask"]
                cells = targets[f"{kind}index"][mask]
                maps[head.name].flatten(1)[:, cells] = target[mask].T
        return {head.name: raw(head, maps[head.name]).unsqueeze(0) for head in self.task.heads}


def raw(head, values):
    """Undo a head's activation."""
    if head.initial_bias is not None:
        return torch.logit(values, eps=1e-4)
    if head.name == "depth":
        return torch.logit((1 / (values.double() + 1) - 1e-6).clamp(1e-9, 1 - 1e-9)).float()
    return values


def open_stand_in(parameters):
    if LOADING:
        print("loading", flush=True)
        time.sleep(LOADING)
    if CONVERTING:
        threading.Thread(target=time.sleep, args=(CONVERTING,)).start()
    return StandIn()


if __name__ == "__main__":
    sys.exit(main(open_detector=open_stand_in))
