"""What a task brings to the demo: recording, measuring and drawing take it from here.

Camera, recorder and session import this, so PyTorch, which takes seconds to load, is only imported
by the functions that need it: those of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo.records import Found

if TYPE_CHECKING:
    from centernet_ros.structures import Detections2D
    from training.data.sample import Sample


@dataclass(frozen=True)
class Topic:
    """Arrays of results that the node publishes and the recorder writes down.

    Attributes:
        name: below the node's own name.
        message_type: type of its messages.
        to_found: a message to its results, in the order in which they are published.
    """

    name: str
    message_type: Any
    to_found: Callable[[Any], tuple[Found, ...]]


@dataclass(frozen=True)
class Figure:
    """A row of the table.

    Attributes:
        name: at most 17 characters.
        value: NaN where it is not measured.
        digits: behind the point.
        note: unit and meaning.
    """

    name: str
    value: float
    digits: int
    note: str


@dataclass(frozen=True)
class DemoTask:
    """One task of the demo.

    Attributes:
        name: of the task.
        topics: what is recorded; the first one has the 2D boxes, which every task publishes, and
            the second one what the task tells beyond them, of the same objects in the same order.
        extend: 2D boxes and the objects of the second topic to results of the task.
        measure: figures beyond those of the 2D boxes, of street images and the results of each.
        in_space: whether results have a place in space, and are shown from above too.
    """

    name: str
    topics: tuple[Topic, ...]
    extend: Callable[[Detections2D, Sequence[Found]], Detections2D]
    measure: Callable[[Sequence[Sample], Sequence[Detections2D]], list[Figure]]
    in_space: bool = False
