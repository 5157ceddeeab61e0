"""The folder that the command writes to: what lies in it, and what must not be written over."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from centernet_ros.bag import SourceError
from centernet_ros.detect.frames import Source
from centernet_ros.detect.pictures import picture_path
from centernet_ros.film import CODECS

PICTURES, FILM = "pictures", "film"

RESULTS = {"json": "results.json", "coco": "coco.json", "kitti": "kitti"}
"""File or folder of each format."""

FILMS = tuple(FILM + suffix for suffix in dict.fromkeys(suffix for _, suffix in CODECS))


def check_output(output: Path, source: Source, *, pictures: bool, film: bool) -> None:
    """Make the folder, and refuse one where nothing can be written, or the source lies in the way.

    Raises:
        SourceError: A picture or the film would replace what it shows.
        OSError: The folder cannot be written to.
    """
    output.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise OSError(f"output folder {output} cannot be written to: {error.strerror}") from None
    targets = [picture_path(output / PICTURES, name) for name in source.names or () if pictures]
    targets += [output / name for name in FILMS if film and source.rate is not None]
    sources = {file.resolve() for file in source.files}
    for target in targets:
        if target.resolve() in sources:
            raise SourceError(f"{target} would replace its own source: choose another --output")


def written_files(output: Path) -> dict[Path, int]:
    """When each file was written that the command may have left there before, in nanoseconds."""
    files = [output / name for name in (*FILMS, *RESULTS.values())]
    files += (output / RESULTS["kitti"]).glob("*.txt")
    files += (output / PICTURES).rglob("*")
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


def tell_older_files(output: Path, before: dict[Path, int]) -> None:
    """Name what an earlier run left that this one did not replace; see `written_files`."""
    now = written_files(output)
    older = sorted(file for file, time in before.items() if now.get(file) == time)
    if older:
        print(
            f"detect: {len(older)} older files are in {output}, such as "
            f"{older[0].relative_to(output)}",
            file=sys.stderr,
        )
