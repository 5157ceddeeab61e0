"""A letter box with one slot: the newest value wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Mailbox(Generic[Value]):
    """Hands the newest value from one thread to another and counts what it threw away.

    Attributes:
        received: values put in.
        dropped: values that a newer one replaced before they were taken.
    """

    def __init__(self) -> None:
        self.received = 0
        self.dropped = 0
        self._value: Value | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, value: Value) -> None:
        """Store a value in place of one that nobody took; never waits."""
        with self._changed:
            self.received += 1
            self.dropped += self._value is not None
            self._value = value
            self._changed.notify()

    def take(self) -> Value | None:
        """Wait for a value and remove it; None when the mailbox was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._value is not None)
            value, self._value = self._value, None
            return None if self._closed else value

    def close(self) -> None:
        """Wake the reader up for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
