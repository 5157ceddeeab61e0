"""Detector: images (and their cameras) in, results in each image's own pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from centernet_ros.backends import Backend, choose_device, open_backend
from centernet_ros.checkpoint import load_model
from centernet_ros.image import Image, check, normalise, view_of, warp
from centernet_ros.presets import ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D, View
from centernet_ros.tasks import build_task
from centernet_ros.tasks.base import MAX_DETECTIONS


class Detector:
    """A trained network with its preprocessing and decoding.

    `detector(image)` is `decode(infer(prepare(...)))`; the three steps are public for callers that
    time or overlap them.
    """

    def __init__(
        self,
        backend: Backend,
        preset: ModelPreset,
        *,
        device: torch.device | str = "cpu",
        score_threshold: float = 0.0,
        max_detections: int = MAX_DETECTIONS,
    ) -> None:
        """Wrap an executable network.

        Args:
            backend: (B, 3, H, W) float32 on `device` to raw maps.
            preset: what the network was trained for.
            device: where the network input is put.
            score_threshold: results with a lower score are left out; may be changed at any time.
            max_detections: results per image at most; may be changed at any time.
        """
        self.backend = backend
        self.preset = preset
        self.device = torch.device(device)
        self.score_threshold = score_threshold
        self.max_detections = max_detections
        self.task = build_task(preset.task, len(preset.class_names))

    @classmethod
    def from_checkpoint(
        cls, path: Path | str, device: str = "auto", backend: str = "auto", **options: Any
    ) -> Detector:
        """A detector of a weights file; `options` are those of the constructor.

        Raises:
            CheckpointError: The weights file cannot be used.
            ValueError: This machine has no such device or backend.
        """
        chosen = choose_device(device)
        model, preset = load_model(path)
        return cls(open_backend(backend, model, chosen), preset, device=chosen, **options)

    @overload
    def __call__(self, image: Image, camera: CameraIntrinsics | None = None) -> Detections2D: ...

    @overload
    def __call__(
        self, image: Sequence[Image], camera: Sequence[CameraIntrinsics | None] | None = None
    ) -> list[Detections2D]: ...

    def __call__(self, image: Any, camera: Any = None) -> Any:
        """Detect in one (H, W, 3) uint8 image, blue first, or in a list of images of any sizes.

        Raises:
            ValueError: An image is empty or has another type, or does not fit its camera.
        """
        if isinstance(image, Sequence):
            cameras = [None] * len(image) if camera is None else camera
            if len(cameras) != len(image):
                raise ValueError(f"{len(image)} images but {len(cameras)} cameras")
            return self._detect(image, cameras)
        return self._detect([image], [camera])[0]

    def _detect(
        self, images: Sequence[Image], cameras: Sequence[CameraIntrinsics | None]
    ) -> list[Detections2D]:
        views = [
            view_of(check(image), self.preset, camera)
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
            results.update(zip(indices, self.decode(maps, chosen), strict=True))
        return [results[i] for i in range(len(images))]

    def prepare(self, images: Sequence[Image], views: Sequence[View]) -> Tensor:
        """Images whose views share one input size to a network input (B, 3, H, W) on the device."""
        warped = [torch.from_numpy(warp(image, v)) for image, v in zip(images, views, strict=True)]
        return normalise(torch.stack(warped).to(self.device), self.preset)

    def infer(self, batch: Tensor) -> dict[str, Tensor]:
        """Raw maps of a network input."""
        return self.backend(batch)

    def decode(self, maps: dict[str, Tensor], views: Sequence[View]) -> list[Detections2D]:
        """Results above the score threshold, best first, on the CPU."""
        results = self.task.decode(maps, views, self.max_detections)
        return [result[result.scores >= self.score_threshold] for result in results]
