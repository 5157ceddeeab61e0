"""Lists of images: text files with one name on each line."""

from __future__ import annotations

import re

MARK = re.compile(r"-1|0|1|\d{19}")
"""What may stand behind a name: whether the image shows a class, in VOC's lists of it; the stamp in
nanoseconds, in the list of a bag of KITTI's frames."""


def listed_name(line: str) -> str:
    """The name on a line, blanks in it included, without a mark behind it (see `MARK`)."""
    name, *mark = line.strip().rsplit(maxsplit=1) or [""]
    return name if mark and MARK.fullmatch(mark[0]) else line.strip()
