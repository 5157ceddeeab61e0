"""How often warnings are logged when every image brings one."""

from __future__ import annotations

import re
import time

FIGURES = re.compile(r"\d+(\.\d+)?(e[-+]?\d+)?")
"""What differs from image to image in warnings that tell the same: times, sizes, numbers."""


class Throttle:
    """Keeps a log readable when every image brings a warning."""

    PERIOD = 1.0
    """Seconds between any two warnings."""
    REPEAT_PERIOD = 10.0
    """Seconds between two warnings that differ in their figures only."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}
        """When each kind was logged, as long as it is not logged again."""

    def allows(self, text: str) -> bool:
        """Whether a text may be logged now; if so, it counts as logged."""
        now, kind = time.monotonic(), FIGURES.sub("0", text)
        # One of them in each `PERIOD`: there are never many.
        self._logged = {
            logged: at for logged, at in self._logged.items() if now < at + self.REPEAT_PERIOD
        }
        newest = max(self._logged.values(), default=float("-inf"))
        if kind in self._logged or now < newest + self.PERIOD:
            return False
        self._logged[kind] = now
        return True
