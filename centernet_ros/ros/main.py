"""The node's process: `python -m centernet_ros.ros`, installed as `centernet_node`.

Only the standard library is imported at the top: a signal during the imports of seconds that follow
must end the process as quietly as one later.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from centernet_ros.ros.node import OpenDetector

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt (malloc.h)."""


def main(args: Sequence[str] | None = None, open_detector: OpenDetector | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or the shutdown of ROS.

    Args:
        args: command line; by default that of the process.
        open_detector: makes the detector in place of the one of the weights file.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """
    signals = _QuietSignals()
    _keep_freed_memory()
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.logging import get_logger

    from centernet_ros.ros.node import CenterNetNode

    # What the libraries made stays for good. Left to the collector it would be searched again and
    # again, at the end of the process for seconds.
    gc.freeze()
    node = None
    try:
        rclpy.init(args=args)
        # Now, because an executor cannot be made once a signal has stopped ROS.
        executor = SingleThreadedExecutor()
        signals.leave_to_ros()
        node = CenterNetNode(open_detector) if open_detector else CenterNetNode()
        if node.parameters.autostart and not node.start():
            return 1 if rclpy.ok() else 0
        rclpy.spin(node, executor)
    except ExternalShutdownException:
        pass
    except Exception as error:
        if node is None:  # arguments, parameter files and parameters: the user's to mend
            get_logger("centernet").fatal(str(error).strip())
            return 1
        if rclpy.ok():
            raise
        # A signal has stopped ROS, which then refuses everything wherever the node just was.
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        signals.ignore()
    return 0


class _QuietSignals:
    """SIGINT and SIGTERM end the process with status 0 and no traceback, however many come.

    Until ROS is up there is nothing to tidy, and the process ends at once. From then on rclpy's own
    handler, which calls ours afterwards, stops ROS and thereby `spin`.
    """

    NUMBERS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._ros_is_up = False
        for number in self.NUMBERS:
            signal.signal(number, self._handle)

    def leave_to_ros(self) -> None:
        """ROS is up and has installed its handlers."""
        self._ros_is_up = True

    def ignore(self) -> None:
        """Python's end would restore the deadly default for a second signal, but not for these."""
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: Any) -> None:
        if not self._ros_is_up:
            os._exit(0)


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory of an image's size instead of returning it to the system.

    The page faults of fresh memory are half the cost of receiving a large image.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 512 << 20)
