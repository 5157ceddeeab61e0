"""Which camera_info belongs to which image."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PATIENCE = 0.1
"""Seconds that an image waits for a camera_info of its own stamp; whatever comes in time counts."""

LOOK_PERIOD = PATIENCE / 4
"""Seconds from one `Pairing.flush` to the next while an image waits."""

MISSES = 3
"""Images in a row without a camera_info of their own, after which none waits; one may go lost."""

REMEMBERED = 16
"""Newest camera_infos among which an image finds that of its stamp; a late one is an image ago."""


@dataclass(frozen=True)
class Arrival:
    """An image message and when it came.

    Attributes:
        message: sensor_msgs Image or CompressedImage.
        stamp: its time stamp in nanoseconds.
        clock_time: time of the node's clock at its receipt, in nanoseconds.
        monotonic_time: the same moment of `time.monotonic`, in seconds.
        info: the sensor_msgs CameraInfo that belongs to it; None where there is none.
    """

    message: Any
    stamp: int
    clock_time: int
    monotonic_time: float
    info: Any = None


class Pairing:
    """Gives every image the camera_info of its stamp, else the newest.

    Drivers send both with one stamp, the camera_info often a moment later: as long as pairs are
    found, an image waits for its own. Other drivers send camera_info once, or now and then: when
    an image's own does not come in time, the newest is taken, after some such images without
    waiting, until a pair is found again, or an image's own comes so late as could be waited for.
    """

    def __init__(self, deliver: Callable[[Arrival], None]) -> None:
        """Pair for a receiver, which is called in the thread of `add_image`, `add_info`, `flush`.

        Args:
            deliver: takes each image with its camera_info, in order.
        """
        self._deliver = deliver
        self._infos: OrderedDict[int, Any] = OrderedDict()
        self._waiting: Arrival | None = None
        self._overdue: Arrival | None = None
        self._misses = 0
        self._unpaired: Arrival | None = None
        """The last image that got the newest."""

    @property
    def waiting(self) -> bool:
        """Whether an image waits, so that `flush` is to be called."""
        return self._waiting is not None

    def add_image(self, arrival: Arrival) -> None:
        """Take an image; it is delivered now, or when its camera_info comes."""
        if self._waiting is not None:
            self._give_up()
        if arrival.stamp in self._infos:
            self._misses = 0
            self._send(arrival, self._infos[arrival.stamp])
        elif self._misses < MISSES:
            self._waiting = arrival
        else:
            self._send_unpaired(arrival)

    def add_info(self, stamp: int, info: Any) -> None:
        """Take a camera_info with its stamp in nanoseconds."""
        self._infos.pop(stamp, None)
        self._infos[stamp] = info
        if len(self._infos) > REMEMBERED:
            self._infos.popitem(last=False)
        if self._waiting is not None and self._waiting.stamp == stamp:
            arrival, self._waiting = self._waiting, None
            self._misses = 0
            self._send(arrival, info)
        elif self._unpaired and self._unpaired.stamp == stamp and not _is_overdue(self._unpaired):
            # Waiting for what always comes later than that would delay every image in vain.
            self._misses = 0

    def flush(self) -> None:
        """Deliver an image that has waited long enough; to be called every `LOOK_PERIOD`.

        It goes with the second call that finds it too old: between the two a busy executor calls
        `add_info` with what came in time.
        """
        if self._waiting and _is_overdue(self._waiting):
            if self._overdue is self._waiting:
                self._give_up()
            else:
                self._overdue = self._waiting

    def _give_up(self) -> None:
        assert self._waiting is not None
        arrival, self._waiting = self._waiting, None
        self._misses += 1
        self._send_unpaired(arrival)

    def _send_unpaired(self, arrival: Arrival) -> None:
        self._unpaired = dataclasses.replace(arrival, message=None)
        self._send(arrival, next(reversed(self._infos.values()), None))

    def _send(self, arrival: Arrival, info: Any) -> None:
        self._deliver(dataclasses.replace(arrival, info=info))


def _is_overdue(arrival: Arrival) -> bool:
    """Whether an image came too long ago to wait any longer."""
    return time.monotonic() > arrival.monotonic_time + PATIENCE
