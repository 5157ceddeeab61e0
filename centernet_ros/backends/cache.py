"""Converted networks on disk: `~/.cache/centernet_ros`, or `$XDG_CACHE_HOME/centernet_ros`."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
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
    """Where converted networks are kept; it need not exist."""
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

    Args:
        key: name of the entry.
        build: writes the files of the entry into an empty folder.
        label: what is converted into what, for the line that a user sees meanwhile.

    Raises:
        OSError: The cache cannot be written; the message names the folder.
    """
    entry = cache_folder() / key
    if _is_intact(entry):
        os.utime(entry)
        return entry
    entry.parent.mkdir(parents=True, exist_ok=True)
    say(f"converting {label}, once; kept in {entry.parent}")
    partial = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=entry.parent))
    try:
        build(partial)
        (partial / DIGEST).write_text(_digest(partial))
        # What lies there is damaged, or another process was faster: both may go.
        shutil.rmtree(entry, ignore_errors=True)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _forget_oldest(entry.parent)
    return entry


def say(text: str) -> None:
    """One line for the user, also where nobody has set up logging."""
    print(f"centernet_ros: {text}", file=sys.stderr, flush=True)


def _is_intact(entry: Path) -> bool:
    try:
        return (entry / DIGEST).read_text() == _digest(entry)
    except OSError:
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
