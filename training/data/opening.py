"""The data sets that a configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centernet_ros.tasks import TASK_ALIASES
from training.config import RunConfig
from training.data.coco import open_coco
from training.data.kitti import KittiSamples, check_occurring, open_kitti
from training.data.labelled import LabelledImages
from training.data.sample import DataError, Sample, SampleSet
from training.data.street_samples import StreetSamples
from training.data.voc import open_voc
from training.sources import TASKS_OF, CocoSource, DataConfig, KittiSource, Source, StreetSource


@dataclass(frozen=True)
class FirstSamples:
    """The first samples of a set.

    Attributes:
        samples: the set.
        count: how many of them, at most as many as there are.
    """

    samples: SampleSet
    count: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return self.samples.class_names

    @property
    def benchmark(self) -> str:
        """Whose metric measures results."""
        return self.samples.benchmark

    @property
    def names(self) -> Sequence[str]:
        """Name of each sample."""
        return self.samples.names[: self.count]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """See `SampleSet`."""
        if not 0 <= index < self.count:
            raise IndexError(f"sample {index} of {self.count}")
        return self.samples[index]


def open_training_samples(config: RunConfig) -> SampleSet:
    """What a run is trained on.

    Poses are learnt from images with people alone, as the authors do.

    Raises:
        DataError: The data cannot be read or has not the run's form; the message names the place.
    """
    task = TASK_ALIASES.get(config.task, config.task)
    samples = open_source(config.data, config.data.train, task, config.data.classes)
    if isinstance(samples, LabelledImages):
        if config.data.ignored_as_objects:
            samples = samples.with_ignored_as_objects()
        if task == "pose":
            samples = samples.with_objects()
    if isinstance(samples, KittiSamples) and config.data.classes:
        check_occurring(samples)
    return _limited(samples, config.data.limit)


def open_validation_samples(config: RunConfig, class_names: Sequence[str]) -> SampleSet:
    """What a run is measured on, with the labels that it was trained with.

    Raises:
        DataError: As with `open_training_samples`.
    """
    task = TASK_ALIASES.get(config.task, config.task)
    samples = open_source(config.data, config.data.validation, task, class_names)
    return _limited(samples, config.data.limit)


def open_measured_samples(data: DataConfig, task: str, class_names: Sequence[str]) -> SampleSet:
    """The validation images for a task, the first ones where `limit` says so.

    They may lack some of the classes, as a part of a data set often does.

    Raises:
        DataError: As with `open_training_samples`.
    """
    samples = open_source(data, data.validation, task, class_names, complete=False)
    return _limited(samples, data.limit)


def open_source(
    data: DataConfig,
    source: Source,
    task: str,
    class_names: Sequence[str] = (),
    *,
    complete: bool = True,
) -> SampleSet:
    """The samples of a source for a task.

    Args:
        data: where its paths start.
        source: the source.
        task: name of the task.
        class_names: what is looked for, in the order of the labels; none: all that there is.
        complete: whether a file of COCO's form must have a category of each name; else of one.

    Raises:
        DataError: As with `open_training_samples`.
    """
    root = Path(data.root).expanduser()
    if task not in TASKS_OF.get(source.KIND, (task,)):
        raise DataError(f"{source.KIND} data has no truth for the task {task}")
    if isinstance(source, StreetSource):
        street = StreetSamples(source.seed, source.images, task)
        if class_names and tuple(class_names) != street.class_names:
            raise DataError(f"the street's classes are {', '.join(street.class_names)}, no others")
        return street
    if isinstance(source, CocoSource):
        return open_coco(
            root / source.annotations,
            root / source.images,
            task,
            class_names,
            list_file=root / source.list if source.list else None,
            complete=complete,
        )
    if isinstance(source, KittiSource):
        list_file = root / source.list if source.list else None
        return open_kitti(root / source.folder, list_file, task, class_names)
    return open_voc([root / folder for folder in source.folders], source.list, class_names)


def _limited(samples: SampleSet, limit: int) -> SampleSet:
    return FirstSamples(samples, limit) if 0 < limit < len(samples) else samples
