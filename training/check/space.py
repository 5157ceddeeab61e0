"""What is wrong with objects in space and with the cameras that see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.check.geometry import projected_boxes
from training.check.records import Finding, Scan
from training.data.kitti import camera_of

MIN_OVERLAP = 0.3
"""Median IoU of labelled boxes and projected 3D boxes below which a calibration is wrong."""

MANY_BEHIND = 0.1
"""Share of objects behind the camera from which on their places are in another frame."""


def solids(scan: Scan) -> Iterator[Finding]:
    """Objects of the scan's classes without a size, or behind the camera that saw them."""
    known = [name.lower() for name in scan.class_names]
    found = [
        (item.where, item.solid)
        for image in scan.images
        for item in image.objects
        if item.solid is not None and item.name in known
    ]
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


def calibrations(scan: Scan, sizes: Sequence[tuple[int, int] | None]) -> Iterator[Finding]:
    """Cameras that cannot be read, or do not show 3D boxes where the 2D boxes are."""
    for image, size in zip(scan.images, sizes, strict=True):
        if image.calibration is None or size is None:
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
