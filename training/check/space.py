"""What is wrong with objects in space and with the cameras that see them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from centernet_ros.kitti import KittiObject
from training.check.geometry import projected_boxes
from training.check.habits import MIN_BOXES, MOST
from training.check.records import Finding, Scan
from training.data.kitti import camera_of

MIN_OVERLAP = 0.3
"""Median IoU of labelled boxes and projected 3D boxes below which a calibration is wrong."""

MANY_BEHIND = 0.1
"""Share of objects behind the camera from which on their places are in another frame."""


ANGLE_TOLERANCE = 0.1
"""Radians by which alpha may differ from what yaw and place give; KITTI's own differ by 0.08."""

UNKNOWN_ALPHAS = (-10.0, 0.0)
"""What tools write where they know no alpha."""

Labelled = Sequence[tuple[str, KittiObject]]
"""Objects, each with file and place of its label."""


def solids(scan: Scan) -> Iterator[Finding]:
    """Objects of the scan's classes that tell a wrong size, place or angle in space, or none."""
    if scan.task == "detection2d":
        return
    known = [name.lower() for name in scan.class_names]
    found = [
        (item.where, item.solid)
        for image in scan.images
        for item in image.objects
        if item.solid is not None and item.name in known
    ]
    if found and not scan.task and _is_flat(solid for _, solid in found):
        message = f"none of {len(found)} objects has a size in metres: good for detection2d alone"
        yield Finding("no size in space", found[0][0], message, is_error=False)
        return
    for where, solid in found:
        if min(solid.dimensions) <= 0:
            message = f"height, width, length {solid.dimensions} are not positive"
            yield Finding("wrong size in space", where, message)
    placed = [(where, solid) for where, solid in found if min(solid.dimensions) > 0]
    behind = [(where, solid) for where, solid in placed if solid.location[2] <= 0]
    if len(behind) > MANY_BEHIND * len(placed):
        message = (
            f"{len(behind)} of {len(placed)} objects lie behind the camera, this is the first: "
            "places seem to be in another frame, expected the camera's (x right, y down, z forward)"
        )
        yield Finding("wrong place in space", behind[0][0], message)
        return
    for where, solid in behind:
        message = f"the location {solid.location} lies behind the camera"
        yield Finding("wrong place in space", where, message, is_error=False)
    yield from _angles(placed)


def _is_flat(found: Iterable[KittiObject]) -> bool:
    """Whether none of the objects has a size in metres."""
    return all(max(solid.dimensions) <= 0 for solid in found)


def _angles(objects: Labelled) -> Iterator[Finding]:
    """Alphas that yaw and place contradict: the orientation is learnt from alpha alone."""
    if len(objects) < MIN_BOXES:
        return
    wrong = [
        (where, solid)
        for where, solid in objects
        if abs(math.remainder(_alpha(solid) - solid.alpha, 2 * math.pi)) > ANGLE_TOLERANCE
    ]
    first = objects[0][1].alpha
    unknown = first in UNKNOWN_ALPHAS and all(solid.alpha == first for _, solid in objects)
    differs = len(wrong) > MOST * len(objects)
    if not unknown and not differs:
        return
    found = (
        f"alpha is {first:g} for all {len(objects)} objects"
        if unknown
        else f"alpha is not that of rotation_y and place for {len(wrong)} of {len(objects)} objects"
    )
    where, solid = (wrong or objects)[0]
    message = (
        f"{found}, from which the orientation is learnt; expected rotation_y - atan2(x, z), which "
        f"is {_alpha(solid):.2f} here"
    )
    yield Finding("wrong angle in space", where, message, is_error=differs)


def _alpha(solid: KittiObject) -> float:
    """The angle at which the camera sees an object, in [-pi, pi]."""
    x, _, z = solid.location
    return math.remainder(solid.yaw - math.atan2(x, z), 2 * math.pi)


def calibrations(scan: Scan, sizes: Sequence[tuple[int, int] | None]) -> Iterator[Finding]:
    """Cameras that cannot be read, or do not show 3D boxes where the 2D boxes are."""
    found = [item.solid for image in scan.images for item in image.objects if item.solid]
    flat = bool(found) and not scan.task and _is_flat(found)
    for image, size in zip(scan.images, sizes, strict=True):
        if image.calibration is None or size is None:
            continue
        # Boxes alone need no camera; one that is there may be meant for something.
        if flat and not image.calibration.is_file():
            continue
        try:
            camera = camera_of(image.calibration, size)
        except (OSError, ValueError) as error:
            yield Finding("wrong calibration", str(image.calibration), str(error))
            continue
        found = [i.solid for i in image.objects if i.solid and min(i.solid.dimensions) > 0]
        overlaps = projected_boxes(found, camera)
        if overlaps and float(np.median(overlaps)) < MIN_OVERLAP:
            message = (
                f"the 3D boxes of {image.where} appear elsewhere than its 2D boxes (median IoU "
                f"{np.median(overlaps):.2f}): another camera's, or of another image size"
            )
            yield Finding("wrong calibration", str(image.calibration), message)
