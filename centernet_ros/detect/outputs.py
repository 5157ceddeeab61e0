"""The folder that the command writes to: what lies in it, and what must not be written over."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from centernet_ros.bag import SourceError
from centernet_ros.detect.frames import Source
from centernet_ros.detect.pictures import check_picture_names, picture_path
from centernet_ros.detect.records import kitti_name
from centernet_ros.film import CODECS

PICTURES, FILM = "pictures", "film"

RESULTS = {"json": "results.json", "coco": "coco.json", "kitti": "kitti"}
"""File or folder of each format."""

FILMS = tuple(FILM + suffix for suffix in dict.fromkeys(suffix for _, suffix in CODECS))


def check_output(
    output: Path,
    source: Source,
    formats: Sequence[str],
    read: Mapping[str, Path | None],
    *,
    pictures: bool,
    film: bool,
) -> None:
    """Make the folder, and refuse one where nothing can be written, or where what is read lies.

    Args:
        output: the folder.
        source: what the results are of.
        formats: keys of `RESULTS` that will be written.
        read: other files that the command reads, by the options that name them.
        pictures: whether pictures will be written.
        film: whether a film will be, of a source that is one.

    Raises:
        SourceError: A file would replace one that the command reads, or two pictures one another.
        OSError: The folder cannot be written to.
    """
    names = (source.names or ()) if pictures else ()
    check_picture_names(names)
    output.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise OSError(f"output folder {output} cannot be written to: {error.strerror}") from None
    targets = [picture_path(output / PICTURES, name) for name in names]
    targets += [output / name for name in FILMS if film and source.rate is not None]
    for kind in formats:
        targets += _kitti_files(output, source) if kind == "kitti" else [output / RESULTS[kind]]
    protected = {_identity(file): "its own source" for file in source.files}
    protected |= {_identity(file): f"the file of {name}" for name, file in read.items() if file}
    protected.pop(None, None)
    for target in targets:
        if what := protected.get(_identity(target)):
            raise SourceError(f"{target} would replace {what}: choose another --output")


def _kitti_files(output: Path, source: Source) -> list[Path]:
    """The result files in KITTI's format; of images without names yet, those that lie there."""
    folder = output / RESULTS["kitti"]
    if source.names is not None:
        return [folder / kitti_name(name) for name in source.names]
    return [path for path in folder.glob("*.txt") if path.stem.isdecimal()]


def _identity(file: Path) -> tuple[int, int] | None:
    """What all paths and links to one file share; None where there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


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
