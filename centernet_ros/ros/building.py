"""Messages by the hundred: without the defaults that a constructor builds to throw them away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def builder(message_type: Any, *fields: str) -> Callable[..., Any]:
    """A function that makes a message of the values of these fields, given in this order.

    A message's own constructor makes a default for every field, also for those that it is given;
    here the defaults are made once, and all messages of a builder share them: a field that is not
    listed may be replaced, but nothing may be written into it. Values are stored unchecked.

    Raises:
        ValueError: The message has no such field.
    """
    default = message_type()
    known = [slot.removeprefix("_") for slot in message_type.__slots__]
    for field in fields:
        if field not in known:
            raise ValueError(
                f"{message_type.__name__} has no field {field!r}; known: {', '.join(known)}"
            )
    shared = {f"_{field}": getattr(default, f"_{field}") for field in known if field not in fields}
    # Source code, as `dataclasses` do it: a loop over the fields would take three times as long.
    lines = [
        f"def build({', '.join(fields)}):",
        "    message = new(message_type)",
        *(f"    message._{field} = {field}" for field in fields),
        *(f"    message.{slot} = shared{slot}" for slot in shared),
        "    return message",
    ]
    names: dict[str, Any] = {
        "new": message_type.__new__,
        "message_type": message_type,
        **{f"shared{slot}": value for slot, value in shared.items()},
    }
    exec("\n".join(lines), names)
    build: Callable[..., Any] = names["build"]
    return build
