"""A ROS domain of one's own: demo, tests and benchmarks run side by side unheard by each other."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from centernet_ros.resources import package_file

DOMAINS = range(1, 102)
"""Domains whose ports lie below Linux's ephemeral ones; 0 is left to whoever chose nothing."""


@contextmanager
def isolated_domain(*, shared_memory: bool = True) -> Iterator[dict[str, str]]:
    """Reserve a free domain for the time of a `with` block.

    Args:
        shared_memory: whether Fast DDS gets the profile that carries large images.

    Yields:
        A copy of this process's environment in which ROS talks to this machine only, and there
        only within the reserved domain. Give it to child processes.

    Raises:
        RuntimeError: All domains are taken.
    """
    domain, lock = _reserve()
    try:
        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            **this_machine_only(),
        }
        if shared_memory:
            environment.update(shared_memory_profile())
        yield environment
    finally:
        # The file stays: removing it could take the name away from under a newer lock.
        lock.close()


def this_machine_only() -> dict[str, str]:
    """The variables by which ROS neither hears nor tells other machines."""
    variables = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    if os.environ.get("ROS_DISTRO") == "humble":
        # It does not know the other one, which later distributions have in place of this one.
        variables["ROS_LOCALHOST_ONLY"] = "1"
    return variables


def shared_memory_profile() -> dict[str, str]:
    """The variables by which Fast DDS up to and from version 3 finds `config/fastdds.xml`.

    Raises:
        FileNotFoundError: The profile is not installed with the package.
    """
    profile = str(package_file("config/fastdds.xml"))
    return {"FASTRTPS_DEFAULT_PROFILES_FILE": profile, "FASTDDS_DEFAULT_PROFILES_FILE": profile}


def profile_unless_set() -> dict[str, str]:
    """Those of `shared_memory_profile` that are not set: a user's own profile stays.

    Raises:
        FileNotFoundError: The profile is not installed with the package.
    """
    profile = shared_memory_profile()
    return {name: path for name, path in profile.items() if name not in os.environ}


def _reserve() -> tuple[int, IO[str]]:
    """A domain that nobody uses, and the open file whose lock holds it."""
    # Processes that start together begin at different numbers, so they rarely meet.
    start = os.getpid() % len(DOMAINS)
    for i in range(len(DOMAINS)):
        domain = DOMAINS[(start + i) % len(DOMAINS)]
        lock = _lock(domain)
        if lock is None:
            continue
        if _is_quiet(domain):
            return domain, lock
        lock.close()
    raise RuntimeError(f"all ROS domains {DOMAINS[0]}-{DOMAINS[-1]} are in use on this machine")


def _lock(domain: int) -> IO[str] | None:
    """Lock a domain's file; None where another process holds it. The system frees dead locks."""
    path = Path(tempfile.gettempdir()) / f"centernet_ros-domain-{domain}.lock"
    try:
        file = os.fdopen(_open(path))
    except PermissionError:  # another user's, who lets nobody read it
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _open(path: Path) -> int:
    """Open a file for reading, which is enough to lock it; made where there is none."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT, 0o666)
    except PermissionError:
        # In /tmp Linux lets nobody "create" what another user has left (fs.protected_regular).
        return os.open(path, flags)


def _is_quiet(domain: int) -> bool:
    """Whether no DDS participant of a process that takes no locks listens in the domain."""
    # Discovery by multicast, and the first participant that keeps to this machine.
    for offset in (0, 10):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7400 + 250 * domain + offset))
            except OSError:
                return False
    return True
