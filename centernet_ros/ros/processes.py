"""Child processes that never outlive the block that started them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

POLL = 0.02
"""Seconds between two looks at a process or its output."""

TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Program that asks Linux to kill it with its parent, then becomes its arguments."""


def signalled() -> threading.Event:
    """What SIGINT and SIGTERM set from now on.

    An exception out of the middle of a callback would leave half of its work behind.
    """
    event = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: event.set())
    return event


@dataclass(frozen=True)
class Child:
    """A running process in a process group of its own.

    Attributes:
        process: the process.
        log: file that takes what it prints, standard output and error together.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """What the process has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for_output(self, pattern: str, timeout: float, *, start: int = 0) -> re.Match[str]:
        """Wait until a regular expression matches the output from character `start` on.

        Raises:
            TimeoutError: It did not within this many seconds, or the process ended without it.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None
            match = re.compile(pattern).search(self.output, start)
            if match:
                return match
            if ended or time.monotonic() > deadline:
                why = f"ended with {self.process.returncode}" if ended else f"{timeout} s passed"
                raise TimeoutError(f"no {pattern!r} in the output ({why}):\n{self.output}")
            time.sleep(POLL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its own children, as a terminal does with Ctrl-C."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self, timeout: float = 10.0) -> int:
        """Interrupt the process and wait for it; kill it after this many seconds.

        Returns:
            Its exit status.
        """
        if self.process.poll() is None:
            self.send(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout)
        # Also when it has ended: what it started itself must not stay behind.
        self.send(signal.SIGKILL)
        return self.process.wait()


@contextmanager
def child_process(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    log: Path,
    *,
    patience: float = 10.0,
) -> Iterator[Child]:
    """Run a command for the time of a `with` block; its end stops the whole process group.

    Where this process is killed before the end of the block, Linux kills the command.

    Args:
        command: program and arguments.
        environment: all its environment variables.
        log: file that takes what it prints.
        patience: seconds from the interrupt at the end of the block until it is killed.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-IS", "-c", TIED, str(os.getpid()), *map(str, command)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child = Child(process, log)
    try:
        yield child
    finally:
        child.stop(patience)
