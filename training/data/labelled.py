"""Image files with boxes or people in flat arrays: what COCO's and VOC's files become."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from centernet_ros.structures import NUM_JOINTS, Detections2D, Poses
from training.data.images import read_image
from training.data.sample import DataError, Sample

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image file and what its label says of the whole.

    Attributes:
        name: what messages and result files call it.
        path: the file.
        size: height, width in pixels as the label says; None where it does not.
    """

    name: str
    path: Path
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object of a label file.

    Attributes:
        image: index of its image.
        box: x1, y1, x2, y2 in pixels.
        label: index of its class.
        ignored: whether it is a region that is neither object nor background.
        area: square pixels of its outline.
        joints: 17 times x, y, visibility of a person; empty for other tasks.
        where: file and place of the label, for messages.
    """

    image: int
    box: tuple[float, float, float, float]
    label: int
    ignored: bool
    area: float
    joints: tuple[float, ...]
    where: str


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A `SampleSet` of image files; use `collect`.

    Labels lie in arrays over all images, which another process receives at once.

    Attributes:
        task: `detection2d` or `pose`.
        benchmark: `coco` or `voc`.
        class_names: name of each label.
        images: the files.
        starts: (I + 1,) first object of each image, then the number of objects.
        boxes: (A, 4) x1, y1, x2, y2 in pixels.
        labels: (A,).
        ignored: (A,) bool.
        areas: (A,) square pixels.
        joints: (A, 17, 3) x, y, visibility for poses, else (A, 0, 3).
    """

    task: str
    benchmark: str
    class_names: tuple[str, ...]
    images: Sequence[LabelledImage]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    areas: NDArray[np.float32]
    joints: NDArray[np.float32]

    @property
    def names(self) -> Sequence[str]:
        """Name of each image."""
        return [image.name for image in self.images]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        """See `SampleSet`."""
        image = self.images[index]
        rows = np.arange(self.starts[index], self.starts[index + 1])
        ignored = rows[self.ignored[rows]]
        rows = rows[~self.ignored[rows]]
        return Sample(
            name=image.name,
            image=read_image(image.path, image.size),
            truth=self._truth(rows),
            ignored=self._boxes(ignored),
            areas=torch.from_numpy(self.areas[rows]),
        )

    def _boxes(self, rows: NDArray[np.int64]) -> Detections2D:
        return Detections2D(
            torch.from_numpy(self.boxes[rows]),
            torch.ones(len(rows)),
            torch.from_numpy(self.labels[rows]),
        )

    def _truth(self, rows: NDArray[np.int64]) -> Detections2D:
        boxes = self._boxes(rows)
        if self.task != "pose":
            return boxes
        joints = torch.from_numpy(self.joints[rows])
        return Poses(
            boxes.boxes, boxes.scores, boxes.labels, joints[..., :2], (joints[..., 2] > 0).float()
        )

    def with_objects(self) -> LabelledImages:
        """The same images without those that show nothing, ignored regions included."""
        kept = np.flatnonzero(np.diff(self.starts)).tolist()
        return dataclasses.replace(
            self,
            images=[self.images[index] for index in kept],
            starts=np.append(self.starts[kept], self.starts[-1]),
        )

    def with_ignored_as_objects(self) -> LabelledImages:
        """The same images where ignored regions are objects like all others."""
        return dataclasses.replace(self, ignored=np.zeros_like(self.ignored))


def collect(
    task: str,
    class_names: Sequence[str],
    images: Sequence[LabelledImage],
    objects: Iterable[LabelledObject],
    *,
    benchmark: str,
) -> LabelledImages:
    """Images with their objects, in the order of the images and then of the objects.

    Boxes without area cannot be learnt from; COCO has a few. They are left out with a warning.

    Raises:
        DataError: An image file is missing, or a box is not finite, inverted or outside its image.
    """
    _check_files(images)
    kept: list[LabelledObject] = []
    empty: list[LabelledObject] = []
    for item in sorted(objects, key=lambda item: item.image):
        x1, y1, x2, y2 = item.box
        problem = box_problem(item.box, images[item.image].size)
        if problem:
            raise DataError(f"{item.where}: {problem}")
        (kept if x2 > x1 and y2 > y1 else empty).append(item)
    if empty:
        _log.warning("%s: left out %d boxes without area", empty[0].where, len(empty))
    counts = np.bincount(np.array([item.image for item in kept], np.int64), minlength=len(images))
    num_joints = NUM_JOINTS if task == "pose" else 0
    return LabelledImages(
        task=task,
        benchmark=benchmark,
        class_names=tuple(class_names),
        images=images,
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=np.array([item.box for item in kept], np.float32).reshape(-1, 4),
        labels=np.array([item.label for item in kept], np.int64),
        ignored=np.array([item.ignored for item in kept], np.bool_),
        areas=np.array([item.area for item in kept], np.float32),
        joints=np.array([item.joints for item in kept], np.float32).reshape(
            len(kept), num_joints, 3
        ),
    )


def box_problem(box: Sequence[float], size: tuple[int, int] | None) -> str:
    """What makes x1, y1, x2, y2 useless as the box of an image of height, width; empty if nothing.

    A box may stand out of the image, as in some data sets it does for objects that are cut off.
    """
    x1, y1, x2, y2 = box
    numbers = ", ".join(f"{value:g}" for value in box)
    if not np.isfinite(box).all():
        return f"the box ({numbers}) is not finite"
    if x2 < x1 or y2 < y1:
        return f"the box ({numbers}) is inverted: expected x1 <= x2 and y1 <= y2"
    if size is not None and (x2 < 0 or y2 < 0 or x1 > size[1] or y1 > size[0]):
        return f"the box ({numbers}) lies outside the image of {size[1]}x{size[0]} pixels"
    return ""


def _check_files(images: Sequence[LabelledImage]) -> None:
    if not images:
        raise DataError("there is no image in this data set")
    missing = [image for image in images if not image.path.is_file()]
    if missing:
        raise DataError(
            f"{missing[0].path}: no such image ({len(missing)} of {len(images)} are missing)"
        )
