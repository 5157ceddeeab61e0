"""Serving by one executor while a faster one gets ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from centernet_ros.backends.cache import say

SHAPES = 6
"""Input shapes that are got ready for, enough for the paper's five scales."""


class Executor(Protocol):
    """A network that is ready to run."""

    @property
    def name(self) -> str:
        """Key of `BACKENDS`."""

    @property
    def precision(self) -> str:
        """Numbers that it computes with."""

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) float32 to the raw maps of the last stack, (B, channels, H/4, W/4)."""

    def is_ready(self, shape: Sequence[int]) -> bool:
        """Whether inputs of a shape run at once."""

    def prepare(self, shape: Sequence[int]) -> None:
        """Get ready for inputs of a shape."""


class Standby:
    """Runs on `present` until `successor` has been opened and is ready for the input's shape.

    That happens in a thread, one shape after the other, and only for the first `SHAPES` shapes that
    come twice: images of many sizes would keep it compiling for ever. All others stay with
    `present`.

    Attributes:
        failure: why the successor is not used; empty where it is, be it for some shapes only.
    """

    def __init__(
        self, present: Executor, successor: str, open_successor: Callable[[], Executor]
    ) -> None:
        self.failure = ""
        self._present = present
        self._successor = successor
        self._open = open_successor
        self._opened: Executor | None = None
        self._seen: set[tuple[int, ...]] = set()
        self._prepared: set[tuple[int, ...]] = set()
        self._thread: threading.Thread | None = None
        self._announced = False

    @property
    def name(self) -> str:
        """The successor's once it has served a shape, which others need not have."""
        return self._successor if self._announced else self._present.name

    @property
    def precision(self) -> str:
        """Numbers that the executor of the moment computes with."""
        return self._present.precision

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of the last stack, from whichever executor is ready for this shape."""
        shape = tuple(batch.shape)
        serving = self.serving(shape)
        if serving is self._present:
            if shape in self._seen:
                self.prepare(shape)
            self._seen.add(shape)
        elif not self._announced:
            self._announced = True
            say(f"running on {self._successor} now")
        return serving(batch)

    def serving(self, shape: Sequence[int]) -> Executor:
        """Whichever of the two answers inputs of a shape now."""
        opened = self._opened
        return opened if opened is not None and opened.is_ready(shape) else self._present

    def is_ready(self, shape: Sequence[int]) -> bool:
        """Whether inputs of a shape run at once: always, on one of the two."""
        return True

    def prepare(self, shape: Sequence[int]) -> None:
        """Begin to get the successor ready for a shape.

        Not where that was begun before, or for `SHAPES` others, nor where the thread is busy or the
        successor could not be opened.
        """
        shape = tuple(shape)
        if self.failure or (self._thread is not None and self._thread.is_alive()):
            return
        if shape in self._prepared or len(self._prepared) == SHAPES:
            return
        self._prepared.add(shape)
        # Never a daemon, which the thread of a node would hand on: Python's end breaks those off in
        # the middle of C++, which aborts the process.
        self._thread = threading.Thread(
            target=self._get_ready, args=(shape,), name="backend-standby", daemon=False
        )
        self._thread.start()

    def wait(self) -> None:
        """Return when the thread has nothing to do."""
        if self._thread is not None:
            self._thread.join()

    def _get_ready(self, shape: tuple[int, ...]) -> None:
        try:
            opened = self._opened or self._open()
            if threading.main_thread().is_alive():  # else the program waits for us to end
                opened.prepare(shape)
                self._opened = opened
        except Exception as error:  # whatever it is, the present executor goes on
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            if self._opened is None:
                self.failure = f"{self._successor} cannot be used: {reason}"
                say(f"{self.failure}; staying with {self._present.name}")
            else:
                say(
                    f"{self._successor} cannot be used for inputs of {'x'.join(map(str, shape))}: "
                    f"{reason}; these stay with {self._present.name}"
                )
