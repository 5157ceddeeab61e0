"""Detector: images (and their cameras) in, results in each image's own pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from centernet_ros.backends import Backend, choose_device, open_backend
from centernet_ros.backends.cuda_graphs import RecordedRuns, record_cuda_graph
from centernet_ros.checkpoint import load_model
from centernet_ros.image import Image, check, normalise, resized_size, view_of, warp
from centernet_ros.merging import keep_best, merge
from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.sparse_heads import SparseHeads, split_heads
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D, View
from centernet_ros.tasks import build_task
from centernet_ros.tasks.base import Task, to_cpu
from centernet_ros.tasks.heatmap import Values


class Detector:
    """A trained network with its preprocessing, decoding and testing modes.

    `detector(image)` is `decode(infer(prepare(...)))` at each scale, merged; the three steps are
    public for callers that time or overlap them, who then work at one scale.
    """

    def __init__(
        self,
        backend: Backend,
        preset: ModelPreset,
        *,
        device: torch.device | str = "cpu",
        sparse_heads: SparseHeads | None = None,
        score_threshold: float = 0.0,
        max_detections: int | None = None,
        max_results: int | None = None,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
        nms: bool = False,
        keep_stale_rows: bool | None = None,
        **task_options: Any,
    ) -> None:
        """Wrap an executable network.

        Args:
            backend: (B, 3, H, W) float32 on `device` to raw maps.
            preset: what the network was trained for.
            device: where the network input is put.
            sparse_heads: what computes the values that the backend's maps leave out, on a CPU and
                without `flip`; see `from_model`.
            score_threshold: results with a lower score are left out; may be changed at any time.
            max_detections: peaks per image and scale, the authors' K; by default the preset's; may
                be changed at any time.
            max_results: results per image at most, but for equal scores at the limit. By default
                `max_detections`; a preset with `compat` keeps all people of all scales instead, as
                the authors do.
            flip: also look at the mirrored image and average both answers.
            scales: factors by which the image is resized, each looked at, then merged by soft-NMS.
            nms: soft-NMS also where there is one scale only.
            keep_stale_rows: keep the rows that the authors' soft-NMS leaves behind, see
                `merging.soft_nms`; by default as the preset's `compat`.
            task_options: options of the task, such as `fit_centre` of `Detection3D`, instead of the
                defaults that follow from the preset's `compat`.

        Raises:
            ValueError: A scale is no factor, or the task has no such testing mode.
            TypeError: The task has no such option.
        """
        if sparse_heads is not None and flip:
            raise ValueError("flip averages whole maps, which sparse heads leave out")
        self.backend = backend
        self.preset = preset
        self.device = torch.device(device)
        self.score_threshold = score_threshold
        self.max_detections = preset.max_detections if max_detections is None else max_detections
        self.max_results = max_results
        self.flip = flip
        self.scales = _checked_scales(scales, nms, preset)
        self.nms = nms
        self.keep_stale_rows = preset.compat if keep_stale_rows is None else keep_stale_rows
        self.task = build_task(
            preset.task, len(preset.class_names), compat=preset.compat, **task_options
        )
        self._sparse_heads = sparse_heads
        self._recorded: dict[tuple[int, bool], RecordedRuns] = {}

    @classmethod
    def from_checkpoint(
        cls,
        path: Path | str,
        device: str = "auto",
        backend: str = "auto",
        precision: str = "auto",
        *,
        preset: ModelPreset | str | None = None,
        **options: Any,
    ) -> Detector:
        """A detector of a weights file; `options` are those of the constructor.

        Args:
            path: file of ours, or of the authors.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            backend: what executes the network, see `open_backend`.
            precision: numbers that it computes with, see `open_backend`.
            preset: instead of the one that the file holds, or that its name tells; see
                `checkpoint.load_model`.
            options: testing modes, thresholds and so on.

        Raises:
            CheckpointError: The weights file cannot be used.
            ValueError: This machine has no such device, backend or precision, or an option does not
                fit.
        """
        chosen = choose_device(device)
        model, preset = load_model(path, preset)
        return cls.from_model(model, preset, chosen, backend, precision, **options)

    @classmethod
    def from_model(
        cls,
        model: CenterNet,
        preset: ModelPreset,
        device: torch.device,
        backend: str = "auto",
        precision: str = "auto",
        **options: Any,
    ) -> Detector:
        """A detector of a network; `options` are those of the constructor.

        Args:
            model: the network, which is taken over: it is put into evaluation mode and must not
                change any more. Train on with a copy.
            preset: what it was trained for.
            device: where it runs.
            backend: what executes it, see `open_backend`.
            precision: numbers that it computes with, see `open_backend`.
            options: testing modes, thresholds and so on.

        Raises:
            ValueError: This machine has no such backend or precision, or an option does not fit.
        """
        sparse_heads = None
        # A GPU computes whole maps in the time that it takes to launch a few kernels more.
        if device.type == "cpu" and not options.get("flip"):
            heads = build_task(preset.task, len(preset.class_names)).heads
            model, sparse_heads = split_heads(model, heads)
        executor = open_backend(backend, model, device, precision, preset.harmless_precisions)
        return cls(executor, preset, device=device, sparse_heads=sparse_heads, **options)

    @overload
    def __call__(self, image: Image, camera: CameraIntrinsics | None = None) -> Detections2D: ...

    @overload
    def __call__(
        self,
        image: Sequence[Image],
        camera: CameraIntrinsics | Sequence[CameraIntrinsics | None] | None = None,
    ) -> list[Detections2D]: ...

    def __call__(self, image: Any, camera: Any = None) -> Any:
        """Detect in one (H, W, 3) uint8 image, blue first, or in a list of images of any sizes.

        A list of images comes with a list of cameras, or with one camera that took all of them.

        Raises:
            ValueError: An image is empty or has another type, does not fit its camera, or is too
                large at one of the scales.
        """
        if not isinstance(image, Sequence):
            if isinstance(camera, Sequence):
                raise ValueError(f"1 image but a list of {len(camera)} cameras: give lists of both")
            return self._detect([image], [camera])[0]
        if not isinstance(camera, Sequence):
            camera = [camera] * len(image)
        if len(camera) != len(image):
            raise ValueError(f"{len(image)} images but {len(camera)} cameras")
        return self._detect(image, camera)

    def _detect(
        self, images: Sequence[Image], cameras: Sequence[CameraIntrinsics | None]
    ) -> list[Detections2D]:
        scales = [self._read_scale(images, cameras, scale) for scale in self.scales]
        return [self._select(parts) for parts in zip(*scales, strict=True)]

    def _read_scale(
        self, images: Sequence[Image], cameras: Sequence[CameraIntrinsics | None], scale: float
    ) -> list[Detections2D]:
        """All results of each image, resized by a factor."""
        views = [
            view_of(check(image), self.preset, camera, scale)
            for image, camera in zip(images, cameras, strict=True)
        ]
        # Images that keep their own resolution make inputs of several sizes: one batch of each.
        groups: dict[tuple[int, int], list[int]] = {}
        for i, view in enumerate(views):
            groups.setdefault(view.input_size, []).append(i)
        results: dict[int, Detections2D] = {}
        for indices in groups.values():
            chosen = [views[i] for i in indices]
            maps = self.infer(self.prepare([images[i] for i in indices], chosen))
            results.update(zip(indices, self._read(maps, chosen), strict=True))
        return [results[i] for i in range(len(images))]

    def prepare(self, images: Sequence[Image], views: Sequence[View]) -> Tensor:
        """Images whose views share one input size to a network input (B, 3, H, W) on the device."""
        warped = [torch.from_numpy(warp(image, v)) for image, v in zip(images, views, strict=True)]
        batch = torch.stack(warped) if len(warped) > 1 else warped[0].unsqueeze(0)
        if self.device.type == "cuda":
            batch = batch.pin_memory()  # else the copy would be waited for
        return normalise(batch.to(self.device, non_blocking=True), self.preset)

    def infer(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of a network input; with `flip` then those of its mirror image, 2B in all.

        With sparse heads the features they start from take the place of their maps.
        """
        return self.backend(torch.cat([batch, batch.flip(-1)]) if self.flip else batch)

    def decode(self, maps: dict[str, Tensor], views: Sequence[View]) -> list[Detections2D]:
        """Results of `infer`'s maps above the score threshold, best first, on the CPU."""
        return [self._select([result]) for result in self._read(maps, views)]

    def _read(self, maps: dict[str, Tensor], views: Sequence[View]) -> list[Detections2D]:
        if self._sparse_heads is not None:
            values = self._sparse_heads.values(maps)
            return self.task.assemble(self.task.collect(values, self.max_detections), views)
        mirrored = None
        if self.flip:
            mirrored = {name: value[len(views) :] for name, value in maps.items()}
            maps = {name: value[: len(views)] for name, value in maps.items()}
        if self.device.type != "cuda":
            return self.task.decode(maps, views, self.max_detections, mirrored=mirrored)
        # Many small kernels: a GPU runs them in less time than a CPU needs to launch them.
        mode = self.max_detections, self.flip
        if mode not in self._recorded:
            collect = partial(_collect, self.task, tuple(maps), self.max_detections)
            # That of another number of results goes: each holds memory of the GPU.
            self._recorded = {mode: RecordedRuns(collect, record_cuda_graph)}
        answers = [*maps.values(), *(mirrored or {}).values()]
        with torch.inference_mode():
            found = self._recorded[mode](*answers)
        return self.task.assemble(to_cpu(found), views)

    def _select(self, parts: Sequence[Detections2D]) -> Detections2D:
        """The results of one image, out of those of each scale."""
        result = parts[0]
        if len(parts) > 1 or self.nms:
            result = merge(parts, keep_stale_rows=self.keep_stale_rows)
        limit = self.max_results
        if limit is None and not (self.preset.compat and self.preset.task == "pose"):
            limit = self.max_detections
        if limit is not None:
            result = keep_best(result, limit)
        if self.score_threshold <= 0:
            return result
        return result[result.scores >= self.score_threshold]


def _collect(
    task: Task[Any], names: Sequence[str], max_detections: int, *answers: Tensor
) -> dict[str, Tensor]:
    """What a task collects from raw maps, behind which those of mirrored inputs may follow."""
    maps = dict(zip(names, answers, strict=False))
    rest = answers[len(names) :]
    mirrored = dict(zip(names, rest, strict=True)) if rest else None
    return task.collect(Values(task.values(maps, mirrored)), max_detections)


def _checked_scales(scales: Sequence[float], nms: bool, preset: ModelPreset) -> tuple[float, ...]:
    """The scales as floats.

    Raises:
        ValueError: There is none, one is no factor or too large for every image, or the task has no
            such testing mode.
    """
    scales = tuple(float(scale) for scale in scales)
    if not scales:
        raise ValueError("scales is empty: give at least one factor, such as 1.0")
    for scale in scales:
        resized_size((1, 1), scale)
    if preset.task == "detection3d" and (scales != (1.0,) or nms):
        raise ValueError(
            "detection3d has no multi-scale testing and no NMS: a resized image shows its objects "
            "at another distance; leave scales at 1.0 and nms off"
        )
    return scales
