"""Which results are published: by class, by the class's least score, and the best of them."""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import torch
from torch import Tensor

from centernet_ros.structures import Detections2D


@lru_cache(maxsize=16)
def least_scores(
    class_names: tuple[str, ...],
    threshold: float,
    class_thresholds: tuple[str, ...],
    classes: tuple[str, ...],
) -> Tensor:
    """Least score (C,) of a published result of each class; infinite where none is published.

    Args:
        class_names: classes of the network.
        threshold: of classes without one of their own.
        class_thresholds: entries such as `car: 0.4`; empty ones are passed over.
        classes: those that are published; without any but empty ones, all are.

    Raises:
        ValueError: An entry has another form, or the network has no such class; the message says
            what is expected.
    """
    own = dict(_class_threshold(entry) for entry in class_thresholds if entry)
    wanted = {name for name in classes if name}
    for name in [*own, *sorted(wanted)]:
        if name not in class_names:
            raise ValueError(f"unknown class {name!r}; known: {', '.join(class_names)}")
    scores = [
        own.get(name, threshold) if not wanted or name in wanted else float("inf")
        for name in class_names
    ]
    return torch.tensor(scores)


def _class_threshold(entry: str) -> tuple[str, float]:
    """Class and score of an entry such as `car: 0.4`."""
    name, _, text = entry.rpartition(":")
    try:
        score = float(text)
    except ValueError:
        score = -1
    if not name.strip() or not 0 <= score <= 1:
        raise ValueError(
            f"class threshold {entry!r}, expected a class and a score of 0 to 1 such as 'car: 0.4'"
        )
    return name.strip(), score


def select(results: Detections2D, least: Tensor, limit: int) -> Detections2D:
    """The best results that reach the least score of their class.

    A result with a number that is not finite is no result: no subscriber could use it.
    """
    kept = results.scores >= least[results.labels]
    for field in dataclasses.fields(results):
        values = getattr(results, field.name)
        if values.is_floating_point():
            kept &= values.isfinite().reshape(len(results), math.prod(values.shape[1:])).all(dim=1)
    best = results[kept]
    return best[:limit] if len(best) > limit else best
