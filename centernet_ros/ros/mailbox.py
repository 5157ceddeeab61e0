"""Letter boxes with one slot each and one reader of them all: the newest value wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Mailbox(Generic[Value]):
    """Hands the newest value of every sender from one thread to another."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._closed = False
        self._changed = threading.Condition()

    def put(self, sender: str, value: Value) -> bool:
        """Store a value; never waits.

        Returns:
            Whether it took the place of an older one of the same sender, which nobody took.
        """
        with self._changed:
            replaced = self._values.pop(sender, None) is not None
            self._values[sender] = value
            self._changed.notify()
            return replaced

    def take(self) -> dict[str, Value] | None:
        """Wait until there is a value and remove all of them; None when the mailbox was closed.

        Whoever has nothing at that moment is not waited for.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._values))
            values, self._values = self._values, {}
            return None if self._closed else values

    def close(self) -> None:
        """Wake the reader up for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
