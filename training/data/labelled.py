"""Image files with boxes or people in flat arrays: what COCO's and VOC's files become."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from centernet_ros.structures import NUM_JOINTS, Detections2D, Poses
from training.data.images import no_image, read_image
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

    Labels lie in arrays and lists over all images, which a loader's worker receives at once: a
    hundred thousand objects of Python would take seconds for each.

    Attributes:
        task: `detection2d` or `pose`.
        benchmark: `coco` or `voc`.
        class_names: name of each label.
        names: (I,) what messages and result files call an image.
        files: (I,) its file.
        sizes: (I,) its height, width as the label says; None where it does not.
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
    names: Sequence[str]
    files: Sequence[str]
    sizes: Sequence[tuple[int, int] | None]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    areas: NDArray[np.float32]
    joints: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """See `SampleSet`; boxes are compared with the image where its label tells no size."""
        rows = np.arange(self.starts[index], self.starts[index + 1])
        image = read_image(Path(self.files[index]), self.sizes[index])
        for box in self.boxes[rows] if self.sizes[index] is None else ():
            problem = box_problem(box.tolist(), (image.shape[0], image.shape[1]))
            if problem:
                raise DataError(f"{self.files[index]}: in the label of this image {problem}")
        ignored = rows[self.ignored[rows]]
        rows = rows[~self.ignored[rows]]
        return Sample(
            name=self.names[index],
            image=image,
            truth=self._truth(rows),
            ignored=self._boxes(ignored),
            areas=torch.from_numpy(self.areas[rows]),
            ignored_areas=torch.from_numpy(self.areas[ignored]),
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
            names=[self.names[index] for index in kept],
            files=[self.files[index] for index in kept],
            sizes=[self.sizes[index] for index in kept],
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
        names=[image.name for image in images],
        files=[str(image.path) for image in images],
        sizes=[image.size for image in images],
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
    if not all(map(math.isfinite, box)):
        problem = "is not finite"
    elif x2 < x1 or y2 < y1:
        problem = "is inverted: expected x1 <= x2 and y1 <= y2"
    elif size is not None and (x2 < 0 or y2 < 0 or x1 > size[1] or y1 > size[0]):
        problem = f"lies outside the image of {size[1]}x{size[0]} pixels"
    else:
        return ""
    return f"the box ({', '.join(f'{value:g}' for value in box)}) {problem}"


def _check_files(images: Sequence[LabelledImage]) -> None:
    if not images:
        raise DataError("there is no image in this data set")
    missing = [image for image in images if not image.path.is_file()]
    if missing:
        raise DataError(
            f"{no_image(missing[0].path)} ({len(missing)} of {len(images)} are missing)"
        )
