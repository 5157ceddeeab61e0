"""Lists of samples: text files with one name on each line."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.sample import DataError

MARK = re.compile(r"-1|0|1|\d{19}")
"""What may stand behind a name: whether the image shows a class, in VOC's lists of it; the stamp in
nanoseconds, in the list of a bag of KITTI's frames."""


def read_names(path: Path) -> list[str]:
    """Names in the order of the file, blanks included, without a mark behind them (see `MARK`).

    Raises:
        DataError: The file cannot be read, names nothing, or names something twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file") from None
    names: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        name, *mark = line.strip().rsplit(maxsplit=1) or [""]
        if mark and not MARK.fullmatch(mark[0]):
            name = line.strip()
        if name in names:
            raise DataError(f"{path}, line {number}: {name} is listed on line {names[name]} too")
        if name:
            names[name] = number
    if not names:
        raise DataError(f"{path}: the list is empty")
    return list(names)
