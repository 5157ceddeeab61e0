"""Every value that crosses a border of the package: results, cameras, views of an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

STRIDE = 4
"""Pixels of the network input per cell of the output grid (paper, section 3)."""

NUM_JOINTS = 17
"""COCO's joints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles (left first)."""


def _rows(*shape: int, dtype: torch.dtype = torch.float32) -> Any:
    """Declare a field that holds one value of this shape for every object."""
    return dataclasses.field(metadata={"shape": shape, "dtype": dtype})


@dataclass(frozen=True, slots=True, eq=False)
class Detections2D:
    """Axis-aligned boxes of one image, as results (best score first) or as ground truth (scores 1).

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the original image, sub-pixel, not clipped.
        scores: (N,) in [0, 1].
        labels: (N,) int64, index into the class names of the preset.
    """

    boxes: Tensor = _rows(4)
    scores: Tensor = _rows()
    labels: Tensor = _rows(dtype=torch.int64)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            shape = (len(self.scores), *field.metadata["shape"])
            actual = tuple(getattr(self, field.name).shape)
            if actual != shape:
                raise ValueError(
                    f"{type(self).__name__}.{field.name} is {actual}, expected {shape}"
                )

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Tensor | slice | list[int]) -> Self:
        """Keep the objects that a boolean mask, indices or a slice select."""
        return self._map(lambda value: value[rows])

    def to(self, device: torch.device | str) -> Self:
        """The same values on another device."""
        return self._map(lambda value: value.to(device))

    def _map(self, function: Any) -> Self:
        names = [field.name for field in dataclasses.fields(self)]
        return type(self)(**{name: function(getattr(self, name)) for name in names})

    @classmethod
    def empty(cls) -> Self:
        """No object, with the right shapes and types."""
        return cls(
            **{
                field.name: torch.zeros(0, *field.metadata["shape"], dtype=field.metadata["dtype"])
                for field in dataclasses.fields(cls)
            }
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All objects of all parts, in order."""
        if not parts:
            return cls.empty()
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True, slots=True, eq=False)
class Detections3D(Detections2D):
    """Oriented 3D boxes of one image in the camera's optical frame (x right, y down, z forward).

    Attributes:
        dimensions: (N, 3) height, width, length in metres.
        locations: (N, 3) centre of the box's bottom face in metres, as in KITTI labels.
        yaws: (N,) KITTI's rotation_y in radians: rotation about y, 0 when the length lies along x.
        alphas: (N,) KITTI's observation angle in radians: the yaw as seen along the viewing ray.
    """

    dimensions: Tensor = _rows(3)
    locations: Tensor = _rows(3)
    yaws: Tensor = _rows()
    alphas: Tensor = _rows()

    def corners(self) -> Tensor:
        """Corners (N, 8, 3) of the boxes in metres in the camera's optical frame, float64.

        The first four are the bottom face: front left, front right, rear right, rear left, as seen
        from inside the object looking along its length; the last four lie above them.
        """
        height, width, length = self.dimensions.double().unsqueeze(-1).unbind(dim=1)
        along = length / 2 * length.new_tensor([1, 1, -1, -1, 1, 1, -1, -1])
        aside = width / 2 * width.new_tensor([1, -1, -1, 1, 1, -1, -1, 1])
        down = height * height.new_tensor([0, 0, 0, 0, -1, -1, -1, -1])
        cos, sin = self.yaws.double().cos().unsqueeze(-1), self.yaws.double().sin().unsqueeze(-1)
        turned = torch.stack([along * cos + aside * sin, down, aside * cos - along * sin], dim=-1)
        return turned + self.locations.double().unsqueeze(1)


@dataclass(frozen=True, slots=True, eq=False)
class Poses(Detections2D):
    """People of one image with their joints.

    Attributes:
        keypoints: (N, 17, 2) COCO joints in pixels of the original image.
        keypoint_scores: (N, 17) in [0, 1]; in ground truth 0 marks a joint without a label.
    """

    keypoints: Tensor = _rows(NUM_JOINTS, 2)
    keypoint_scores: Tensor = _rows(NUM_JOINTS)


@dataclass(frozen=True, slots=True, eq=False)
class CameraIntrinsics:
    """A rectified pinhole camera.

    Attributes:
        projection: (3, 4) float64, KITTI's P2 or the P of a CameraInfo: optical frame in metres to
            homogeneous pixels. The fourth column carries the baseline of a stereo rig.
        image_size: height, width in pixels of the image that the projection belongs to.
    """

    projection: Tensor
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if tuple(self.projection.shape) != (3, 4):
            raise ValueError(f"projection is {tuple(self.projection.shape)}, expected (3, 4)")
        if not (self.projection[0, 0] > 0 and self.projection[1, 1] > 0):
            raise ValueError("projection has no positive focal length: the camera is uncalibrated")
        if not self.projection.isfinite().all():
            raise ValueError("projection holds a number that is not finite")

    @classmethod
    def pinhole(
        cls, focal: float, centre: tuple[float, float], image_size: tuple[int, int]
    ) -> CameraIntrinsics:
        """A camera with square pixels, focal length and principal point (x, y) in pixels."""
        rows = [[focal, 0, centre[0], 0], [0, focal, centre[1], 0], [0, 0, 1, 0]]
        return cls(torch.tensor(rows, dtype=torch.float64), image_size)

    def project(self, points: Tensor) -> Tensor:
        """Points (..., 3) in metres of the optical frame to pixels (..., 2)."""
        projection = self.projection.to(points.device)
        homogeneous = points.double() @ projection[:, :3].T + projection[:, 3]
        return homogeneous[..., :2] / homogeneous[..., 2:]

    def unproject(self, pixels: Tensor, depths: Tensor) -> Tensor:
        """Pixels (..., 2) at depths (...) in metres to points (..., 3) of the optical frame.

        The depth is the homogeneous coordinate of the pixel: z = depth - P[2, 3].
        """
        projection = self.projection.to(pixels.device)
        z = depths.double() - projection[2, 3]
        xy = pixels.double() * depths.double().unsqueeze(-1)
        xy = xy - projection[:2, 3] - projection[:2, 2] * z.unsqueeze(-1)
        xy = xy / torch.stack([projection[0, 0], projection[1, 1]])
        return torch.cat([xy, z.unsqueeze(-1)], dim=-1)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How an original image lies on the network's input and output grid, and which camera took it.

    Attributes:
        image_size: height, width of the original image in pixels.
        input_size: height, width of the network input in pixels.
        to_input: (2, 3) float64 affine map from pixels of the image to pixels of the input. A
            mirrored training sample has a negative x scale.
        camera: the camera of the original image; None where there is none, or where an augmentation
            destroyed the geometry.
        resize: factor by which the image is resized on its way, the first part of `to_input`.
        mirrored: whether left and right are exchanged on the input; follows from `to_input`.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    to_input: Tensor
    camera: CameraIntrinsics | None = None
    resize: float = 1.0
    mirrored: bool = dataclasses.field(init=False)
    _inverse: Tensor = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Once: a node decodes every image of a camera through one view.
        (xx, xy, _), (yx, yy, _) = self.to_input.tolist()
        object.__setattr__(self, "mirrored", xx * yy < xy * yx)
        object.__setattr__(self, "_inverse", torch.linalg.inv(self.to_input[:, :2] / STRIDE))

    @property
    def grid_size(self) -> tuple[int, int]:
        """Height, width of the output grid in cells."""
        return self.input_size[0] // STRIDE, self.input_size[1] // STRIDE

    def to_grid(self, points: Tensor) -> Tensor:
        """Pixels (..., 2) of the image to cells (..., 2) of the grid, sub-cell, float64."""
        affine = self.to_input.to(points.device) / STRIDE
        return points.double() @ affine[:, :2].T + affine[:, 2]

    def to_image(self, points: Tensor) -> Tensor:
        """Cells (..., 2) of the grid to pixels (..., 2) of the image, sub-pixel, float64."""
        shift = self.to_input[:, 2].to(points.device) / STRIDE
        return (points.double() - shift) @ self._inverse.to(points.device).T

    def boxes_to_grid(self, boxes: Tensor) -> Tensor:
        """Boxes (N, 4) in pixels of the image to cells of the grid, float64."""
        corners = self.to_grid(boxes.reshape(-1, 2, 2))
        # A mirrored view exchanges left and right edges.
        return torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)

    def boxes_to_image(self, boxes: Tensor) -> Tensor:
        """Boxes (N, 4) in cells of the grid to pixels of the image, float64."""
        edges = self.to_image(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        # Exchanged and not sorted: a network may answer a negative size, which stays visible.
        return edges[:, [2, 1, 0, 3]] if self.mirrored else edges
