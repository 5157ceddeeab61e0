"""The loop of the command: read an image, detect in it, show it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tqdm import tqdm

from centernet_ros.bag import SourceError
from centernet_ros.detect.frames import Frame, Source, Unusable
from centernet_ros.detect.records import Record
from centernet_ros.detector import Detector


@dataclass(eq=False)
class Outcome:
    """What became of a source; it grows from image to image.

    Attributes:
        records: results of the images that could be used, in order.
        unusable: the others.
        interrupted: whether the user stopped it.
        problem: why it ended early; empty where it did not.
        seconds: how long it took.
    """

    records: list[Record] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    interrupted: bool = False
    problem: str = ""
    seconds: float = 0.0


def detect_all(
    detector: Detector,
    source: Source,
    show: Callable[[Frame, Record], None] | None = None,
) -> Outcome:
    """Detect in every image of a source, with a progress bar on a terminal.

    An image that cannot be used is named, and the next one follows. An interruption by the user
    ends it with what has been found so far.

    Args:
        detector: for the task, with the least score that any output wants.
        source: images.
        show: draws the results of an image for people.
    """
    outcome = Outcome()
    start = time.perf_counter()
    with tqdm(total=source.count, unit=" images", disable=None, dynamic_ncols=True) as progress:
        try:
            for item in source.read():
                found: Record | Unusable = (
                    _detect(detector, item) if isinstance(item, Frame) else item
                )
                if isinstance(found, Unusable):
                    outcome.unusable.append(found)
                    progress.write(f"unusable: {found.name}: {found.reason}", file=sys.stderr)
                else:
                    outcome.records.append(found)
                    if show is not None and isinstance(item, Frame):
                        show(item, found)
                progress.update()
        except KeyboardInterrupt:
            outcome.interrupted = True
        except (SourceError, OSError) as error:
            outcome.problem = str(error)
    outcome.seconds = time.perf_counter() - start
    return outcome


def _detect(detector: Detector, frame: Frame) -> Record | Unusable:
    """The results of one image, or why there are none."""
    try:
        results = detector(frame.image, frame.camera)
    except (RuntimeError, MemoryError) as error:  # PyTorch's way to say that memory is short
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Unusable(frame.name, f"the network failed on it: {lines[0]}")
    except ValueError as error:  # a scale that makes this image too large
        return Unusable(frame.name, str(error))
    size = frame.image.shape[0], frame.image.shape[1]
    return Record(frame.name, size, results, frame.camera, frame.stamp)
