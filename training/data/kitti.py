"""KITTI's object folders, read directly: image_2, label_2, calib, and any list of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centernet_ros.class_names import KITTI_CLASSES
from centernet_ros.kitti import DONT_CARE, KittiObject, read_objects, read_projection, to_truth
from centernet_ros.structures import CameraIntrinsics, Detections2D
from training.data.images import find_images, no_image, read_image
from training.data.labelled import box_problem
from training.data.lists import read_names
from training.data.sample import DataError, Sample


@dataclass(frozen=True)
class KittiSamples:
    """A `SampleSet` of KITTI frames; use `open_kitti`.

    Attributes:
        folder: holds image_2, label_2 and, for `detection3d`, calib.
        names: the frames.
        task: `detection3d`, or `detection2d` for the boxes alone.
        class_names: name of each label; compared with KITTI's kinds without case.
        images: file of each frame's image.
        labels: text of each frame's label file.
        benchmark: whose metric measures results.
    """

    folder: Path
    names: Sequence[str]
    task: str
    class_names: tuple[str, ...]
    images: Sequence[Path]
    labels: Sequence[str]
    benchmark: str = "kitti"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """See `SampleSet`; vans and others are ignored as `centernet_ros.kitti.to_truth` says."""
        name = self.names[index]
        image = read_image(self.images[index])
        numbered = numbered_objects(self.labels[index])
        size = (image.shape[0], image.shape[1])
        in_space = self.task == "detection3d"
        for line, item in numbered:
            problem = box_problem(item.box, size)
            if problem:
                path = self.folder / "label_2" / f"{name}.txt"
                raise DataError(f"{path}, line {line}: {item.kind}: {problem}")
        objects = tuple(item for _, item in numbered)
        truth, ignored = to_truth(objects, self.class_names)
        return Sample(
            name=name,
            image=image,
            truth=truth if in_space else _boxes(truth),
            ignored=ignored,
            camera=read_camera(self.folder, name, size) if in_space else None,
            label_lines=objects,
        )


def open_kitti(
    folder: Path, list_file: Path | None, task: str, class_names: Sequence[str] = ()
) -> KittiSamples:
    """Read the labels of the frames of a list.

    Args:
        folder: KITTI's `training` folder.
        list_file: names of frames, one on each line; None: all that have a label.
        task: `detection3d`, or `detection2d`, which needs no calibration.
        class_names: names of the classes in the order of the labels; none: KITTI's three.

    Raises:
        DataError: A file is missing, or a label has not KITTI's form.
    """
    if list_file is None:
        names = sorted(path.stem for path in (folder / "label_2").glob("*.txt"))
    else:
        names = read_names(list_file)
    if not names:
        raise DataError(f"{folder / 'label_2'}: no label file")
    parts = ("label_2", "calib") if task == "detection3d" else ("label_2",)
    paths = [folder / part / f"{name}.txt" for name in names for part in parts]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: no such file ({len(missing)} files are missing)")
    images = image_paths(folder, names)
    absent = [path for path in images if not path.is_file()]
    if absent:
        raise DataError(f"{no_image(absent[0])} ({len(absent)} of {len(names)} are missing)")
    classes = tuple(class_names) or KITTI_CLASSES
    labels = [_label(folder / "label_2" / f"{name}.txt", classes, task) for name in names]
    return KittiSamples(folder, names, task, classes, images, labels)


def check_occurring(samples: KittiSamples) -> None:
    """Refuse a class of which neither KITTI nor any label speaks: it would be learnt from nothing.

    Of KITTI's own kinds a small set may have none.

    Raises:
        DataError: There is one.
    """
    kinds = [item.kind for text in samples.labels for item in read_objects(text)]
    known = dict.fromkeys([*KINDS, *(kind.lower() for kind in kinds)])
    for name in samples.class_names:
        if name.lower() not in known:
            raise DataError(
                f"{samples.folder / 'label_2'}: data.classes names {name!r}, which is in no label; "
                f"known: {', '.join(known)}"
            )


def image_paths(folder: Path, names: Sequence[str]) -> list[Path]:
    """The image file of each frame, `name.*` where there is none; KITTI's own are PNG files."""
    return find_images([folder / "image_2" / name for name in names], first=".png")


def read_camera(folder: Path, name: str, size: tuple[int, int]) -> CameraIntrinsics:
    """The left colour camera of a frame, with images of height, width.

    Raises:
        DataError: There is no usable P2 in the frame's file.
    """
    path = folder / "calib" / f"{name}.txt"
    try:
        return camera_of(path, size)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None


def camera_of(calibration: Path, size: tuple[int, int]) -> CameraIntrinsics:
    """The camera of a calibration file, for images of this height and width.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no projection of a camera.
    """
    return CameraIntrinsics(read_projection(calibration.read_text(encoding="utf-8-sig")), size)


def _label(path: Path, classes: Sequence[str], task: str) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
        objects = numbered_objects(text)
    except ValueError as error:
        raise DataError(f"{path}, {error}") from None
    for line, item in objects:
        problem = label_problem(item, classes, task)
        if problem:
            raise DataError(f"{path}, line {line}: {problem}")
    return text


def numbered_objects(text: str) -> list[tuple[int, KittiObject]]:
    """The objects of a label, each with its line.

    Raises:
        ValueError: A line has another form; the message says which.
    """
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if line.split()]
    return list(zip(lines, read_objects(text), strict=True))


KINDS = (*KITTI_CLASSES, "van", "truck", "person_sitting", "tram", "misc", DONT_CARE)
"""What KITTI's labels speak of, in lower case."""


def label_problem(item: KittiObject, classes: Sequence[str], task: str) -> str:
    """What makes a line of a label useless for a task; empty if nothing."""
    kind, own = item.kind.lower(), [name.lower() for name in classes]
    if kind not in KINDS and kind not in own:
        return f"unknown class {item.kind!r}; known: {', '.join(dict.fromkeys([*classes, *KINDS]))}"
    if kind in own and task == "detection3d" and min(item.dimensions) <= 0:
        return f"height, width, length {item.dimensions} are not positive"
    return box_problem(item.box, None)


def _boxes(truth: Detections2D) -> Detections2D:
    return Detections2D(truth.boxes, truth.scores, truth.labels)
