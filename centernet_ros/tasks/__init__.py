"""Tasks by name: `build_task("detection2d", num_classes=3)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from centernet_ros.presets import TASK_ALIASES
from centernet_ros.tasks.base import Task
from centernet_ros.tasks.detection2d import Detection2D
from centernet_ros.tasks.detection3d import Detection3D
from centernet_ros.tasks.pose import Pose

__all__ = ["TASKS", "TASK_ALIASES", "build_task"]

TASKS: dict[str, Callable[..., Task[Any]]] = {
    "detection2d": Detection2D,
    "detection3d": Detection3D,
    "pose": Pose,
}


def build_task(name: str, num_classes: int, *, compat: bool = False, **options: Any) -> Task[Any]:
    """A task by its name or its alias in the authors' code.

    Args:
        name: name of the task.
        num_classes: channels of the heat map.
        compat: follow the authors' code also where it is wrong; each task says what that changes.
        options: further options of the task's constructor.

    Raises:
        ValueError: There is no such task; the message lists the known ones.
    """
    name = TASK_ALIASES.get(name, name)
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; known: {', '.join(TASKS)}")
    return TASKS[name](num_classes, compat=compat, **options)
