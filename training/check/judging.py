"""Records -> findings: images, boxes and classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from centernet_ros.tasks import detection2d, detection3d, pose
from training.check.habits import TOLERANCE, habits
from training.check.records import Finding, RawImage, RawObject, Scan
from training.check.space import calibrations, solids
from training.data.images import no_image, orientation, read_image
from training.data.kitti import KINDS
from training.data.labelled import box_problem
from training.data.sample import DataError
from training.sources import TASKS_OF

MANY_IGNORED = 0.05
"""Share of objects marked as crowds or difficult above which a tool may have done so unasked."""

SLOTS = {
    "detection2d": detection2d.MAX_OBJECTS,
    "detection3d": detection3d.MAX_OBJECTS,
    "pose": pose.MAX_OBJECTS,
}
"""Objects of an image of which a task learns more than where they are."""


def judge(scan: Scan) -> list[Finding]:
    """Everything that is wrong with a data set, or looks so; images are read."""
    findings = list(scan.findings)
    sizes = []
    for image in tqdm(scan.images, desc="images", unit="image", leave=False, disable=None):
        size, found = _image(image)
        sizes.append(size)
        findings += found
        findings += [f for item in image.objects for f in _object(item, size)]
        findings += [f for item in image.regions for f in _box_problem(item, size)]
        findings += _repeated_objects(image)
        findings += _beyond_slots(scan, image)
    findings += habits(scan, sizes)
    findings += _classes(scan)
    findings += _ignored(scan)
    findings += solids(scan)
    findings += calibrations(scan, sizes)
    empty = [image for image in scan.images if not image.objects]
    if empty:
        message = f"{len(empty)} of {len(scan.images)} images show no object, this is the first"
        findings.append(Finding("empty image", empty[0].where, message, is_error=False))
    if not scan.images and not any(finding.is_error for finding in scan.findings):
        findings.append(Finding("no image", scan.form, "there is not one image"))
    return findings


def _image(image: RawImage) -> tuple[tuple[int, int] | None, list[Finding]]:
    """Height, width of an image in the pixels of its label, and what is wrong with its file."""
    if not image.path.is_file():
        return image.size, [Finding("missing file", image.where, no_image(image.path))]
    try:
        pixels = read_image(image.path, image.size)
    except DataError as error:
        kind = "wrong image size" if "its label says" in str(error) else "unreadable image"
        return image.size, [Finding(kind, image.where, str(error))]
    size = (pixels.shape[0], pixels.shape[1])
    mark = orientation(image.path)
    if mark == 1:
        return size, []
    message = (
        f"{image.path} has EXIF orientation {mark}: programs that follow it see other pixels than "
        f"these {size[1]}x{size[0]}; write the image upright and without the mark"
    )
    return size, [Finding("EXIF rotation", image.where, message, is_error=False)]


def _box_problem(item: RawObject, size: tuple[int, int] | None) -> list[Finding]:
    problem = box_problem(item.box, size)
    kind = "box outside" if "outside" in problem else "inverted box"
    return [Finding(kind, item.where, problem)] if problem else []


def _object(item: RawObject, size: tuple[int, int] | None) -> Iterator[Finding]:
    x1, y1, x2, y2 = item.box
    problems = _box_problem(item, size)
    if problems:
        yield from problems
    elif x1 == x2 or y1 == y2:
        numbers = ", ".join(f"{value:g}" for value in item.written)
        message = f"({numbers}) is left out of the training"
        yield Finding("box without area", item.where, message, is_error=False)
    elif size is not None:
        beyond = max(-x1, -y1, x2 - size[1], y2 - size[0])
        if beyond > TOLERANCE:
            message = f"the box stands out of the image by {beyond:g} pixels"
            yield Finding("box beyond the image", item.where, message, is_error=False)
    joints = np.array(item.joints).reshape(-1, 3)
    seen = joints[joints[:, 2] > 0]
    if size is not None and len(seen):
        outside = (
            (seen[:, :2] < -TOLERANCE) | (seen[:, :2] > np.array(size[::-1]) + TOLERANCE)
        ).any(1)
        if outside.any():
            message = f"{int(outside.sum())} labelled joints lie outside the image; left out"
            yield Finding("joint outside", item.where, message, is_error=False)


def _repeated_objects(image: RawImage) -> Iterator[Finding]:
    counts = Counter((item.name, item.written) for item in image.objects)
    for item in image.objects:
        count = counts.pop((item.name, item.written), 1)
        if count > 1:
            message = f"{item.name} with the same box stands {count} times in this image"
            yield Finding("duplicate object", item.where, message, is_error=False)


def _beyond_slots(scan: Scan, image: RawImage) -> Iterator[Finding]:
    known = [i for i in image.objects if i.name in scan.class_names or not scan.class_names]
    objects = [item for item in known if not item.ignored]
    counts = {
        "detection2d": len(objects),
        "detection3d": sum(i.solid is not None and min(i.solid.dimensions) > 0 for i in objects),
        "pose": sum(bool(i.joints) for i in objects),
    }
    for task in [scan.task] if scan.task else TASKS_OF[scan.form]:
        if counts[task] > SLOTS[task]:
            message = (
                f"{counts[task]} objects in one image, of which {task} learns to find all, but "
                f"anything else of the first {SLOTS[task]} alone"
            )
            yield Finding("more objects than slots", image.where, message, is_error=False)


def _ignored(scan: Scan) -> Iterator[Finding]:
    """Objects that nothing is learnt of though they are labelled, where they are many."""
    objects = [item for image in scan.images for item in image.objects]
    ignored = [item for item in objects if item.ignored]
    if len(ignored) <= MANY_IGNORED * len(objects):
        return
    mark = "iscrowd: 1" if scan.form == "coco" else "difficult"
    message = (
        f"{len(ignored)} of {len(objects)} objects are marked {mark}, this is the first: they are "
        "neither learnt nor background. Where a tool set the mark unasked, take it out of the "
        "file, or train with data.ignored_as_objects: true, which measuring does not follow"
    )
    everything = len(ignored) == len(objects)
    yield Finding("ignored objects", ignored[0].where, message, is_error=everything)


def _classes(scan: Scan) -> Iterator[Finding]:
    first = {item.name: item.where for image in scan.images for item in image.objects[::-1]}
    learnt = {item.name for image in scan.images for item in image.objects if not item.ignored}
    known = scan.class_names or tuple(first)
    others = KINDS if scan.form == "kitti" else ()
    for name, where in first.items():
        if not name:
            yield Finding("unknown class", where, "the object has no name")
        elif name not in known and name not in others:
            yield Finding("unknown class", where, f"{name!r}; known: {', '.join(known)}")
    for name in known:
        # Where no class is learnt, one finding tells it.
        if name in first and name not in learnt and learnt:
            message = f"{name} has no object but crowds or difficult ones, which are not learnt"
            yield Finding("unused class", first[name], message, is_error=False)
        if name not in first:
            message = f"{name} has no object"
            # A small set may lack one of KITTI's kinds; another name is refused by the training.
            slip = scan.form == "kitti" and name not in KINDS
            if slip:
                message += f"; known: {', '.join(dict.fromkeys([*KINDS, *first]))}"
            yield Finding("unused class", scan.form, message, is_error=slip)
