"""Converted networks on disk: `~/.cache/centernet_ros`, or `$XDG_CACHE_HOME/centernet_ros`."""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import nn

from centernet_ros import models

KEPT = 8
"""Converted networks that are kept; the one that was not used for longest goes first."""

ABANDONED = 3600.0
"""Seconds after which a folder that is not whole belongs to a process that was ended."""

DIGEST = "sha256"
"""File of an entry that tells whether the others are as they were written."""


def cache_folder() -> Path:
    """Where converted networks are kept; it need not exist.

    Raises:
        RuntimeError: This user has no home.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "centernet_ros"


def model_key(model: nn.Module, *facts: str) -> str:
    """A name that changes with the weights, with the code of networks and converters, and facts."""
    digest = hashlib.sha256("\n".join([repr(model), *facts]).encode())
    for folder in (Path(models.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def cached(key: str, build: Callable[[Path], None], label: str) -> Path:
    """The folder of a converted network, made by `build(folder)` if it is not there as written.

    Of processes that want the same at the same time, one makes it and the others wait. Where the
    cache cannot be written, it is made in a folder that goes when the program ends.

    Args:
        key: name of the entry.
        build: writes the files of the entry into an empty folder.
        label: what is converted into what, for the line that a user sees meanwhile.

    Raises:
        OSError: The files cannot be written, as where the disk is full.
    """
    with suppress(RuntimeError):  # of who has no home
        entry = cache_folder() / key
        if _is_intact(entry):
            with suppress(OSError):  # a cache may be there to read only
                os.utime(entry)
            return entry
    folder, where = _writable_folder()
    entry = folder / key
    with _locked(folder / f"{key}.lock"):
        if not _is_intact(entry):
            say(f"converting {label}, {where}")
            _write(entry, build)
    with suppress(OSError):
        _forget_oldest(folder)
    return entry


def say(text: str) -> None:
    """One line for the user, also where nobody has set up logging."""
    print(f"centernet_ros: {text}", file=sys.stderr, flush=True)


def remove_temporary_folder() -> None:
    """Remove what was converted for this run only; for who does not wait for Python's end."""
    if _temporary_folder.cache_info().currsize:
        shutil.rmtree(_temporary_folder(), ignore_errors=True)
        _temporary_folder.cache_clear()


def _writable_folder() -> tuple[Path, str]:
    """The cache or, where it cannot be written, a temporary folder; and how long that is kept."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError) as error:
        return _temporary_folder(), (
            f"for this run only ({error}): set XDG_CACHE_HOME to a folder that can be written, "
            "which keeps it"
        )
    return folder, f"once; kept in {folder}"


@functools.cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="centernet_ros."))
    atexit.register(remove_temporary_folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among the processes that lock this file; a process that ends lets go of it."""
    with path.open("w") as file:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Who waits for it finds the entry then; two may build at once only where this failed.
            path.unlink(missing_ok=True)


def _write(entry: Path, build: Callable[[Path], None]) -> None:
    # Not by `tempfile`, whose folders are closed to all other users.
    partial = entry.with_name(f"{entry.name}.{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        build(partial)
        (partial / DIGEST).write_text(_digest(partial))
        # What lies there is damaged, or another process was faster: both may go.
        shutil.rmtree(entry, ignore_errors=True)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_intact(entry: Path) -> bool:
    try:
        return (entry / DIGEST).read_text() == _digest(entry)
    except (OSError, ValueError):  # a damaged digest need not be text
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != DIGEST:
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _forget_oldest(folder: Path) -> None:
    ended = time.time() - ABANDONED
    entries, abandoned = [], []
    for path in folder.iterdir():
        if (path / DIGEST).is_file():
            entries.append(path)
        elif path.is_dir() and _changed(path) < ended:
            abandoned.append(path)
    entries.sort(key=_changed)
    for path in [*entries[:-KEPT], *abandoned]:
        shutil.rmtree(path, ignore_errors=True)


def _changed(path: Path) -> float:
    """When it was last changed; now, where another process has just removed or renamed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
