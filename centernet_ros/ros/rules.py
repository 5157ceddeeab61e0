"""What a parameter may be: for people, for rclpy and for the check of a value."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

RESTART_FREE = "May be changed at any time."
AT_CONFIGURE = "Taken over when the node is configured; cannot be changed while it is."
AT_START = "Read once at the start of the process."


@dataclass(frozen=True)
class Rule:
    """What a parameter may be; of a list, what each entry may be.

    Attributes:
        description: what it is, with its unit.
        limits: least and greatest value of a number.
        pattern: regular expression that a text matches as a whole.
        known: the values that the pattern stands for, in words.
        changes: one of the three sentences above.
    """

    description: str
    limits: tuple[float, float] | None = None
    pattern: str = ".*"
    known: str = ""
    changes: str = AT_CONFIGURE

    def check(self, name: str, value: object, default: object) -> None:
        """Refuse a value of another type, outside the limits, or unknown.

        Raises:
            ValueError: The message names the parameter, the value and what is allowed.
        """
        if type(value) is not type(default):
            raise ValueError(
                f"parameter {name} is {value!r}, expected a {_TYPE_NAMES[type(default)]}"
                f" such as {default!r}"
            )
        if isinstance(value, tuple):
            assert isinstance(default, tuple)
            for entry in value:
                self.check(name, entry, default[0])
            return
        if self.limits and not self.limits[0] <= value <= self.limits[1]:  # type: ignore[operator]
            raise ValueError(
                f"parameter {name} is {value}, expected {self.limits[0]} to {self.limits[1]}"
            )
        if isinstance(value, str) and not re.fullmatch(self.pattern, value):
            raise ValueError(f"parameter {name} is {value!r}, known: {self.known}")

    def descriptor(self, default: object) -> ParameterDescriptor:
        """What `ros2 param describe` shows, and rclpy checks."""
        constraints = f"Allowed: {self.known}. {self.changes}" if self.known else self.changes
        descriptor = ParameterDescriptor(
            description=self.description,
            additional_constraints=constraints,
            read_only=self.changes == AT_START,
        )
        if self.limits and isinstance(default, float):
            low, high = self.limits
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.limits and isinstance(default, int):
            low, high = (int(limit) for limit in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor


_TYPE_NAMES = {
    bool: "truth value",
    int: "whole number",
    float: "decimal number",
    str: "text",
    tuple: "list",
}


def parameter(default: Any, description: str, **rule: Any) -> Any:
    """Declare a field of a dataclass that is a parameter."""
    return dataclasses.field(default=default, metadata={"rule": Rule(description, **rule)})


def one_of(*values: str) -> dict[str, str]:
    """The part of a rule that allows these texts only."""
    return {"pattern": "|".join(map(re.escape, values)), "known": ", ".join(values)}
