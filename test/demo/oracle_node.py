"""The node with a detector that knows the truth of the demo's streets; a process for the tests."""

import sys

import torch

from centernet_ros.detector import Detector
from centernet_ros.presets import STREET_CLASSES, ModelPreset
from centernet_ros.ros.main import main
from centernet_ros.structures import Detections2D
from demo.sources import StreetSource

PRESET = ModelPreset("detection2d", "resnet18", STREET_CLASSES, input_size=(192, 640))
IMAGES = 30


class Oracle(Detector):
    """Recognises the image by its pixels."""

    def __init__(self):
        super().__init__(lambda batch: {}, PRESET)
        frames = StreetSource(IMAGES, 10.0).frames
        self.truths = {frame.image.tobytes(): frame.objects for frame in frames}

    def prepare(self, images, views):
        # The node warms up with an image of its own.
        self.seen = self.truths.get(images[0].tobytes(), Detections2D.empty())
        return super().prepare(images, views)

    def decode(self, maps, views):
        scores = torch.full_like(self.seen.scores, 0.9)
        return [Detections2D(self.seen.boxes, scores, self.seen.labels)]


if __name__ == "__main__":
    sys.exit(main(open_detector=lambda parameters: Oracle()))
