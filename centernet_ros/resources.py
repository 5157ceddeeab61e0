"""Files that come with the package: in a checkout at its root, installed in the share folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def find_file(name: str) -> Path:
    """A user's file: the path as given, else one that comes with the package.

    Args:
        name: absolute, or relative to the working directory or to the package, e.g.
            `weights/street_detection2d.safetensors`.

    Raises:
        FileNotFoundError: There is no such file; the message says where it was looked for.
    """
    return _first_file(name, [Path.cwd(), *_package_folders()])


def package_file(name: str) -> Path:
    """A file of the package by its path within it, e.g. `config/fastdds.xml`.

    Raises:
        FileNotFoundError: It is not installed.
    """
    return _first_file(name, _package_folders())


def _first_file(name: str, folders: list[Path]) -> Path:
    # An absolute path replaces the folder before it, so it is looked for once only.
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # of a user whom nobody knows
        path = Path(name)
    candidates = list(dict.fromkeys(folder / path for folder in folders))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"file {name} does not exist (looked for {looked})")


def _package_folders() -> list[Path]:
    """The checkout, then the share folders of wherever the package is installed."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    shares = [Path(prefix) / "share" / "centernet_ros" for prefix in prefixes if prefix]
    return [CHECKOUT, *(share for share in shares if share.is_dir())]
