"""What camera and recorder write down as JSON lines, and how the two belong together."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builtin_interfaces.msg import Time

from centernet_ros.stamps import NANOSECONDS

BOXES = "detections_2d"
"""Topic of the 2D boxes, which every task publishes."""


def to_stamp(nanoseconds: int) -> Time:
    """The reverse of `to_nanoseconds`."""
    return Time(sec=nanoseconds // NANOSECONDS, nanosec=nanoseconds % NANOSECONDS)


@dataclass(frozen=True)
class Sent:
    """An image that the camera is about to publish.

    Attributes:
        index: which image of the source; -1 for one that only shows that the others listen.
        stamp_ns: stamp of the message.
        origin_ns: time from which latency counts: the stamp, or where that is an old one of a
            recording, the time of publishing.
        frame_id: of the message.
    """

    index: int
    stamp_ns: int
    origin_ns: int
    frame_id: str

    @property
    def counted(self) -> bool:
        """Whether it is part of the source."""
        return self.index >= 0


@dataclass(frozen=True)
class FoundObject:
    """One detection of a message.

    Attributes:
        class_name: `class_id` of the best hypothesis.
        score: of the best hypothesis.
        box: x1, y1, x2, y2 in pixels of the image.
    """

    class_name: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class FoundSolid:
    """One 3D box of a message, in KITTI's form.

    Attributes:
        class_name: `class_id` of the best hypothesis.
        score: of the best hypothesis.
        dimensions: height, width, length in metres.
        location: centre of the bottom face in metres in the camera's optical frame.
        yaw: KITTI's rotation_y in radians, -pi to pi.
    """

    class_name: str
    score: float
    dimensions: tuple[float, float, float]
    location: tuple[float, float, float]
    yaw: float


@dataclass(frozen=True)
class FoundPerson:
    """One person of a message.

    Attributes:
        score: of the person.
        joints: x, y in pixels of the image and score of each of COCO's 17 joints.
    """

    score: float
    joints: tuple[tuple[float, float, float], ...]


Found = FoundObject | FoundSolid | FoundPerson


@dataclass(frozen=True)
class Received:
    """An array of results that the recorder heard.

    Attributes:
        stamp_ns: stamp of the array.
        frame_id: of the array.
        received_ns: time of its receipt.
        detections: as published, best first.
        topic: where it was heard, below the node's own name.
    """

    stamp_ns: int
    frame_id: str
    received_ns: int
    detections: tuple[Found, ...]
    topic: str = BOXES


@dataclass(frozen=True)
class Timed:
    """Where the node's time went for one image, from its timing message.

    Attributes:
        stamp_ns: stamp of the image.
        received_ns: time of receipt.
        seconds: name of each stage to its duration.
        frames_dropped: images that the node gave up for newer ones so far.
    """

    stamp_ns: int
    received_ns: int
    seconds: dict[str, float]
    frames_dropped: int


Record = Sent | Received | Timed
_KINDS: dict[str, type[Record]] = {"sent": Sent, "detections": Received, "timing": Timed}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FOUND: dict[str, type[Found]] = {
    BOXES: FoundObject,
    "detections_3d": FoundSolid,
    "poses": FoundPerson,
}


def to_line(record: Record) -> str:
    """A record as one line of JSON with its line end."""
    return json.dumps({"type": _NAMES[type(record)], **dataclasses.asdict(record)}) + "\n"


def from_line(line: str) -> Record:
    """The reverse of `to_line`."""
    values: dict[str, Any] = json.loads(line)
    kind = _KINDS[values.pop("type")]
    if kind is Received:
        found = _FOUND[values["topic"]]
        values["detections"] = tuple(
            found(**{name: _as_tuple(value) for name, value in fields.items()})
            for fields in values["detections"]
        )
    return kind(**values)


def _as_tuple(value: Any) -> Any:
    """A value of JSON with tuples for lists."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


class Tail:
    """Reads a file of records while another process is writing it."""

    def __init__(self, path: Path) -> None:
        """Start at the beginning of a file, which need not exist yet."""
        self._path = path
        self._position = 0

    def new(self) -> Iterator[Record]:
        """The records that are complete since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):  # still being written
                    return
                self._position += len(line)
                yield from_line(line.decode())


@dataclass(frozen=True)
class Exchange:
    """An image and what came back for it.

    Attributes:
        sent: the image.
        received: its array of 2D boxes, None if there was none.
        more: the array of what the task tells beyond them, None if there was none.
    """

    sent: Sent
    received: Received | None
    more: Received | None = None

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds until the detections were there."""
        if self.received is None:
            return None
        return (self.received.received_ns - self.sent.origin_ns) / 1e6


def match(
    sent: Sequence[Sent], received: Sequence[Received]
) -> tuple[list[Exchange], list[Received]]:
    """Find the arrays of each counted image by its stamp.

    Returns:
        The counted images in the order in which they were sent, and the arrays for which no image
        was sent. Of images with the same stamp, the first gets the first array.
    """
    waiting: defaultdict[tuple[int, bool], deque[Received]] = defaultdict(deque)
    for array in received:
        waiting[array.stamp_ns, array.topic == BOXES].append(array)
    exchanges = []
    for image in sent:
        boxes, more = (waiting[image.stamp_ns, is_boxes] for is_boxes in (True, False))
        exchange = Exchange(
            image, boxes.popleft() if boxes else None, more.popleft() if more else None
        )
        if image.counted:
            exchanges.append(exchange)
    return exchanges, [array for arrays in waiting.values() for array in arrays]
