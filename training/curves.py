"""Curves as a picture, drawn with what is installed anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from centernet_ros.image import Image

SIZE = (420, 900)
"""Height, width of the picture in pixels."""

MARGINS = (20, 150, 50, 70)
"""Pixels above, to the right of, below and to the left of the curves; names stand to the right."""

COLOURS = ((180, 119, 31), (14, 127, 255), (44, 160, 44), (40, 39, 214), (189, 103, 148))
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GREY, _DARK = (225, 225, 225), (70, 70, 70)


def draw_curves(curves: Mapping[str, Sequence[tuple[float, float]]], x_name: str) -> Image:
    """Curves over one x axis, on a logarithmic y axis as losses need it.

    Args:
        curves: x and positive y of each point, by the name of the curve; others are left out.
        x_name: what stands below the x axis.
    """
    height, width = SIZE
    top, right, bottom, left = MARGINS
    canvas: Image = np.full((height, width, 3), 255, np.uint8)
    points = {
        name: np.array([(x, np.log10(y)) for x, y in curve if 0 < y < np.inf]).reshape(-1, 2)
        for name, curve in curves.items()
    }
    everything = np.concatenate(list(points.values()) or [np.zeros((0, 2))])
    if not len(everything):
        return canvas
    low, high = everything.min(0), everything.max(0)
    ticks = _ticks(low[1], high[1])
    low[1], high[1] = ticks[0], ticks[-1]
    span = np.maximum(high - low, 1e-9)

    def place(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Image:
        share = (values - low) / span
        columns = left + share[:, 0] * (width - left - right)
        rows = height - bottom - share[:, 1] * (height - top - bottom)
        return np.stack([columns, rows], 1).round().astype(np.int32)

    for y in ticks:
        (_, row), *_ = place(np.array([[low[0], y]]))
        cv2.line(canvas, (left, int(row)), (width - right, int(row)), _GREY, 1)
        cv2.putText(canvas, f"{10**y:g}", (8, int(row) + 4), _FONT, 0.42, _DARK, 1, cv2.LINE_AA)
    for x in np.unique(np.linspace(low[0], high[0], 5).round()):
        (column, _), *_ = place(np.array([[x, low[1]]]))
        where = (int(column) - 12, height - bottom + 18)
        cv2.putText(canvas, f"{x:.0f}", where, _FONT, 0.42, _DARK, 1, cv2.LINE_AA)
    cv2.putText(canvas, x_name, (width // 2, height - 10), _FONT, 0.45, _DARK, 1, cv2.LINE_AA)
    for number, (name, values) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        cv2.polylines(canvas, [place(values)], False, colour, 1 + (number == 0), cv2.LINE_AA)
        where = (width - right + 12, top + 18 * (number + 1))
        cv2.putText(canvas, name, where, _FONT, 0.45, colour, 1, cv2.LINE_AA)
    return canvas


def _ticks(low: float, high: float) -> list[float]:
    """Logarithms of 1, 2 and 5 times powers of ten about a range, with one below and one above."""
    values = [power + np.log10(digit) for power in range(-12, 13) for digit in (1, 2, 5)]
    first = max(i for i, value in enumerate(values) if i == 0 or value <= low)
    last = min(i for i, value in enumerate(values) if i == len(values) - 1 or value >= high)
    chosen = values[first : max(last, first + 1) + 1]
    # Far apart, the powers of ten alone are enough.
    return chosen if len(chosen) <= 10 else [chosen[0], *chosen[3:-3:3], chosen[-1]]


def smooth(values: Sequence[tuple[float, float]], count: int = 200) -> list[tuple[float, float]]:
    """At most so many points, each the mean of its neighbours' x and y."""
    parts = np.array_split(
        np.array(values, np.float64).reshape(-1, 2), min(count, len(values)) or 1
    )
    return [(float(part[:, 0].mean()), float(part[:, 1].mean())) for part in parts if len(part)]
