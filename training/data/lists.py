"""Lists of samples: text files with one name on each line."""

from __future__ import annotations

from pathlib import Path

from centernet_ros.lists import listed_name
from training.data.sample import DataError


def read_names(path: Path) -> list[str]:
    """Names, one a line as of `listed_name`, in the order of the file.

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
        name = listed_name(line)
        if name in names:
            raise DataError(f"{path}, line {number}: {name} is listed on line {names[name]} too")
        if name:
            names[name] = number
    if not names:
        raise DataError(f"{path}: the list is empty")
    return list(names)
