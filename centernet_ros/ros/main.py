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
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from centernet_ros.ros.engine import OpenDetector

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt (malloc.h)."""


def main(args: Sequence[str] | None = None, open_detector: OpenDetector | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or the shutdown of ROS.

    Args:
        args: command line; by default that of the process.
        open_detector: makes the detector in place of the one of the weights file.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start. Where a thread is still busy
        then, the process ends at once instead.
    """
    status = _run(args, open_detector)
    # The node lies in reference cycles, and other processes see it until it is gone.
    gc.collect()
    if threading.active_count() > 1:
        # Converting a network for another executor takes up to a minute and cannot be broken off.
        # What it writes gets its name when it is whole.
        from centernet_ros.backends.cache import remove_temporary_folder

        remove_temporary_folder()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _run(args: Sequence[str] | None, open_detector: OpenDetector | None) -> int:
    """The exit status, once the node is done."""
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
        signals.interrupt()
        node = CenterNetNode(open_detector) if open_detector else CenterNetNode()
        if node.parameters.autostart and not node.start():
            return 0 if signals.came else 1
        signals.leave_to_ros()
        rclpy.spin(node, executor)
    except (ExternalShutdownException, _Interrupted):
        pass
    except Exception as error:
        if signals.came:
            pass  # ROS is stopped, and refuses everything wherever the node just was
        elif node is None:  # arguments, parameter files and parameters: the user's to mend
            get_logger("centernet").fatal(str(error).strip())
            return 1
        else:
            raise
    finally:
        signals.leave_to_ros()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        signals.ignore()
    return 0


class _Interrupted(BaseException):
    """A signal came while the node was starting."""


class _QuietSignals:
    """SIGINT and SIGTERM end the process with status 0 and no traceback, however many come.

    Until ROS is up there is nothing to tidy, and the process ends at once. While the node starts,
    loading is broken off. Then rclpy's own handler, which calls ours afterwards, stops ROS and
    thereby `spin`.

    Attributes:
        came: whether there was one.
    """

    NUMBERS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.came = False
        self._react: Callable[[], None] = lambda: os._exit(0)
        for number in self.NUMBERS:
            signal.signal(number, self._handle)

    def interrupt(self) -> None:
        """From now on the first signal raises `_Interrupted` in the main thread."""
        self._react = self._raise

    def leave_to_ros(self) -> None:
        """From now on rclpy reacts alone."""
        self._react = lambda: None

    def ignore(self) -> None:
        """Python's end would restore the deadly default for a second signal, but not for these."""
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: object) -> None:
        self.came = True
        self._react()

    def _raise(self) -> None:
        self.leave_to_ros()
        raise _Interrupted


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory of an image's size instead of returning it to the system.

    The page faults of fresh memory are half the cost of receiving a large image.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 512 << 20)
