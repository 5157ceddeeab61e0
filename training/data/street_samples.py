"""The street world as samples of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from centernet_ros.class_names import KITTI_CLASSES, POSE_CLASSES
from centernet_ros.kitti import KittiObject
from centernet_ros.structures import Detections2D
from training.data.sample import Sample
from training.data.street import StreetDataset, StreetFrame, street_camera
from training.evaluation.coco import OUTLINE_SHARE, box_areas
from training.evaluation.kitti import kitti_objects

MIN_OUTLINE = 32**2
"""Square pixels of a person below which the joints are not labelled, as in COCO.

So COCO's metric has no small people. Here they are neither people nor background.
"""


@dataclass(frozen=True)
class StreetSamples:
    """`count` random street images with the ground truth of a task, rendered when they are read."""

    seed: int
    count: int
    task: str = "detection2d"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return street_classes(self.task)

    @property
    def benchmark(self) -> str:
        """Whose metric measures results."""
        return "kitti" if self.task == "detection3d" else "coco"

    @property
    def names(self) -> Sequence[str]:
        """Name of each image."""
        return [self._name(index) for index in range(self.count)]

    def _name(self, index: int) -> str:
        return f"street seed {self.seed} image {index}"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """One image; the same seed and index give the same image on every machine."""
        frame = StreetDataset(self.seed, self.count, street_camera(self.task))[index]
        return street_sample(frame, self.task, self._name(index))


def street_sample(frame: StreetFrame, task: str, name: str) -> Sample:
    """A picture of the street with the ground truth of a task."""
    truth, ignored = _truth(frame, task)
    return Sample(
        name,
        frame.image,
        truth,
        ignored,
        frame.camera,
        label_lines=_label_lines(frame) if task == "detection3d" else (),
    )


def street_classes(task: str) -> tuple[str, ...]:
    """What a task looks for in the street; only people have joints, riders among them."""
    return POSE_CLASSES if task == "pose" else KITTI_CLASSES


def _truth(frame: StreetFrame, task: str) -> tuple[Detections2D, Detections2D]:
    """Objects and ignored regions, as the task has them."""
    if task == "detection3d":
        return frame.objects, frame.ignored
    if task == "pose":
        # The box of an ignored cyclist holds the bicycle too, which a region to ignore may do.
        unlabelled = frame.ignored[frame.ignored.labels != KITTI_CLASSES.index("car")].boxes
        large = OUTLINE_SHARE * box_areas(frame.poses.boxes) >= MIN_OUTLINE
        people = torch.cat([frame.poses.boxes[~large], unlabelled])
        ignored = Detections2D(
            people, torch.ones(len(people)), torch.zeros(len(people), dtype=torch.int64)
        )
        return frame.poses[large], ignored
    objects = frame.objects
    return Detections2D(objects.boxes, objects.scores, objects.labels), frame.ignored


def _label_lines(frame: StreetFrame) -> tuple[KittiObject, ...]:
    """The label in KITTI's form: an ignored object excuses what finds it, also in space."""
    unknown = [_OCCLUSION_UNKNOWN] * len(frame.ignored)
    return (
        *kitti_objects(
            frame.objects,
            KITTI_CLASSES,
            truncated=frame.truncations.tolist(),
            occluded=frame.occlusions.tolist(),
        ),
        *kitti_objects(frame.ignored, KITTI_CLASSES, occluded=unknown),
    )


_OCCLUSION_UNKNOWN = 3
"""KITTI's degree that no difficulty admits."""
