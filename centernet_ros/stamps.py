"""Time stamps of messages as whole nanoseconds."""

from __future__ import annotations

from typing import Any

NANOSECONDS = 1_000_000_000
"""In a second."""


def to_nanoseconds(stamp: Any) -> int:
    """A builtin_interfaces/Time as one number; rclpy's Time would refuse one before 1970."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
