"""The street world as samples of a task."""

from __future__ import annotations

from dataclasses import dataclass

from centernet_ros.structures import Detections2D
from training.data.sample import Sample
from training.data.street import StreetDataset


@dataclass(frozen=True)
class StreetSamples:
    """`count` random street images with the ground truth of a task, rendered when they are read."""

    seed: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """One image; the same seed and index give the same image on every machine."""
        frame = StreetDataset(self.seed, self.count)[index]
        objects = frame.objects
        truth = Detections2D(objects.boxes, objects.scores, objects.labels)
        name = f"street seed {self.seed} image {index}"
        return Sample(name, frame.image, truth, frame.ignored, frame.camera)
