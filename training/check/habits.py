"""What most boxes of a file have in common: another way of writing them than the form's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.check.records import Finding, Scan

TOLERANCE = 2.0
"""Pixels that a box may stand out of its image: rounding, and counting from 1."""

MOST = 0.5
"""Share of a file's boxes that must look alike to be called a habit of the file."""

NEARLY_ALL = 0.95
"""Share of boxes that must fit another way of writing; what is left are slips of its own."""

MANY_OUTSIDE = 0.1
"""Share of boxes beyond their image from which on it is no matter of single boxes."""

MIN_BOXES = 3
"""Boxes from which on a file has habits."""

Array = NDArray[np.float64]


def habits(scan: Scan, sizes: Sequence[tuple[int, int] | None]) -> list[Finding]:
    """The first habit that explains the boxes, and from where pixels seem to be counted.

    Args:
        scan: the data set.
        sizes: height, width of each image; None where it is not known.
    """
    rows = [
        (item, size)
        for image, size in zip(scan.images, sizes, strict=True)
        for item in image.objects
        if size is not None
    ]
    if len(rows) < MIN_BOXES:
        return []
    written = np.array([item.written for item, _ in rows], np.float64)
    boxes = np.array([item.box for item, _ in rows], np.float64)
    limits = np.array([[size[1], size[0]] for _, size in rows], np.float64)
    for kind, message in (
        ("normalised coordinates", _fractions(written, limits)),
        ("coordinates in percent", _percent(written, boxes, limits)),
        ("wrong box format", _order(scan.form, written, limits)),
    ):
        if message:
            return [Finding(kind, rows[0][0].where, message)]
    beyond = np.maximum(-boxes[:, :2], boxes[:, 2:] - limits).max(axis=1) > TOLERANCE
    findings = _counting(scan.form, written, boxes[:, 2:] > limits, rows[0][0].where)
    if beyond.mean() > MANY_OUTSIDE and beyond.sum() >= MIN_BOXES:
        message = (
            f"{beyond.sum()} of {len(beyond)} boxes stand out of their images, this is the first: "
            "centres in place of corners, labels of other images, or boxes to be cut off"
        )
        where = rows[int(beyond.argmax())][0].where
        # Some data sets have such boxes on purpose, and the training cuts them off.
        findings.append(Finding("boxes outside", where, message, is_error=False))
    return findings


def _fractions(written: Array, limits: Array) -> str:
    """Numbers up to 1; as pixels these boxes would be tiny. Whole numbers alone can be pixels."""
    small = (np.abs(written) <= 1).all(axis=1) & (limits.max(axis=1) > 10)
    if small.mean() < MOST or (written[small] % 1 == 0).all():
        return ""
    return f"{small.sum()} of {len(written)} boxes lie between 0 and 1: fractions, expected pixels"


def _percent(written: Array, boxes: Array, limits: Array) -> str:
    """Numbers up to 100 that use this range, in images of which this is a small corner."""
    ends = boxes[:, 2:]
    inside = (written >= 0).all(axis=1) & (ends <= 101).all(axis=1)
    large = np.median(limits.max(axis=1)) > 200
    if not large or inside.mean() < NEARLY_ALL or (ends[inside].max(axis=0) < 80).any():
        return ""
    return f"{inside.sum()} of {len(written)} boxes lie between 0 and 100: percent, expected pixels"


def _order(form: str, written: Array, limits: Array) -> str:
    """Corners where a size is expected, or the reverse."""
    as_size = ((written[:, :2] + written[:, 2:]) <= limits + TOLERANCE).all(axis=1)
    as_corners = (written[:, 2:] > written[:, :2]).all(axis=1)
    as_corners &= (written[:, 2:] <= limits + TOLERANCE).all(axis=1)
    if form == "coco" and as_corners.mean() >= NEARLY_ALL and (~as_size).mean() >= MOST:
        return "the numbers look like x1, y1, x2, y2, expected x, y, width, height"
    if form != "coco" and as_size.mean() >= NEARLY_ALL and (~as_corners).mean() >= MOST / 2:
        return "the numbers look like x, y, width, height, expected x1, y1, x2, y2"
    return ""


def _counting(form: str, written: Array, behind: NDArray[np.bool_], where: str) -> list[Finding]:
    """Pixels counted from 1 where the form does from 0, or the reverse."""
    first = written[:, :2]
    at_zero, at_one, at_two = (
        int(rows.any(axis=1).sum()) for rows in (first <= 0, first == 1, (first > 1) & (first <= 2))
    )
    if form == "voc":
        message = f"{at_zero} boxes begin at 0, though this form counts from 1"
        finding = Finding("0-based coordinates", where, message, is_error=False)
        return [finding] if at_zero >= MIN_BOXES else []
    # Objects that the image cuts off begin at its first pixel, whatever number that has.
    if at_one < MIN_BOXES or at_one < 2 * at_two or at_zero > (1 - NEARLY_ALL) * at_one:
        return []
    last = int(behind.any(axis=1).sum())
    message = (
        f"{at_one} boxes begin at 1, {at_zero or 'none'} before, and {last or 'none'} end behind "
        "the image: pixels seem to be counted from 1, expected from 0"
    )
    return [Finding("1-based coordinates", where, message, is_error=last > 0)]
