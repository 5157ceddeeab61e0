"""Pictures as a film file, in a codec that this OpenCV has."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from typing_extensions import Self

from centernet_ros.image import Image

CODECS = (("VP80", ".webm"), ("mp4v", ".mp4"), ("avc1", ".mp4"))
"""In order of preference. VP8 opens in players and browsers and is in OpenCV's wheels, which lack
H.264. VP9 takes four times as long, and browsers do not know MPEG-4 part 2."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence FFmpeg within OpenCV, which writes a warning about every tag it has to guess."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class Film:
    """A film file in the first codec that this OpenCV has.

    Attributes:
        path: the file, known once there is an image; None where no codec works.
    """

    def __init__(self, stem: Path, rate: float) -> None:
        """Prepare a film of so many images a second; the codec adds the suffix to the path."""
        self.path: Path | None = None
        self._stem = stem
        self._rate = rate
        self._writer: cv2.VideoWriter | None = None

    def add(self, image: Image) -> None:
        """Append an image; one of another size than the first is stretched to that."""
        if self._writer is None:
            self._size = image.shape[1], image.shape[0]
            self._writer = self._open()
        if image.shape[:2] != self._size[::-1]:
            image = np.asarray(cv2.resize(image, self._size))
        self._writer.write(image)

    def _open(self) -> cv2.VideoWriter:
        for codec, suffix in CODECS:
            path = self._stem.with_name(self._stem.name + suffix)
            code = cv2.VideoWriter.fourcc(*codec)
            with quiet():
                writer = cv2.VideoWriter(str(path), code, self._rate, self._size)
            if writer.isOpened():
                self.path = path
                return writer
        return cv2.VideoWriter()  # swallows what it gets

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
