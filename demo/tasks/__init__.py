"""Tasks by name, with what the demo does differently for each."""

from demo.tasks.base import DemoTask, Figure, Topic
from demo.tasks.detection2d import DETECTION2D
from demo.tasks.detection3d import DETECTION3D
from demo.tasks.pose import POSE

__all__ = ["TASKS", "DemoTask", "Figure", "Topic", "choose_task"]

TASKS = {task.name: task for task in (DETECTION2D, DETECTION3D, POSE)}


def choose_task(name: str) -> DemoTask:
    """A task by its name, or by its alias in the authors' code.

    Raises:
        ValueError: There is no such task; the message lists the known ones.
    """
    if name in TASKS:
        return TASKS[name]
    from centernet_ros.tasks import TASK_ALIASES

    if TASK_ALIASES.get(name) not in TASKS:
        raise ValueError(f"unknown task {name!r}; known: {', '.join(TASKS)}")
    return TASKS[TASK_ALIASES[name]]
