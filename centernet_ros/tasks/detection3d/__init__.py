"""3D boxes: depth, size in metres and observation angle read at the centre of the 2D box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor

from centernet_ros.structures import Detections2D, Detections3D, View
from centernet_ros.tasks.base import HEATMAP_BIAS, Counts, Head, Maps, Task, mirror
from centernet_ros.tasks.detection3d.angle import (
    count_angles,
    decode_alpha,
    encode_alpha,
    mirror_alpha,
    orientation_loss,
    unmirror_orientation,
    wrap,
)
from centernet_ros.tasks.detection3d.geometry import (
    alpha_to_yaw,
    fit_centres,
    focal_ratio,
    locate,
    visible_region,
)
from centernet_ros.tasks.focal import count_peaks, focal_loss
from centernet_ros.tasks.heatmap import (
    Values,
    count_all,
    count_coordinates,
    draw_gaussian,
    draw_ignored,
    find_peaks,
    masked_l1,
    mean_l1,
    place,
    read_boxes,
)

MAX_OBJECTS = 50
"""Object slots of a training image, KITTI's; of further objects only the heat map tells."""


def metric_depth(raw: Tensor) -> Tensor:
    """Raw map to metres (paper, section 4.1, with the authors' guard against division by zero)."""
    return 1 / (raw.sigmoid() + 1e-6) - 1


class Detection3D(Task[Detections3D]):
    """The authors' `ddd`."""

    def __init__(
        self,
        num_classes: int,
        *,
        compat: bool = False,
        translate_sizes: bool | None = None,
        depth_is_homogeneous: bool | None = None,
        wrap_alphas: bool | None = None,
        fit_centre: bool | None = None,
        training_focal_length: float = 0.0,
        mean_over_objects: bool = False,
    ) -> None:
        """Declare the heads.

        Args:
            num_classes: channels of the heat map.
            compat: read results as the authors' code does: `translate_sizes` and
                `depth_is_homogeneous` are on, `wrap_alphas` and `fit_centre` off, unless they are
                given. In training, objects beyond the slots become background.
            translate_sizes: send the size of a 2D box through the whole way from the grid to the
                image, the shift included. In the authors' code this makes every box 1.2 to 1.9
                pixels too high at KITTI's image sizes. The published 2D numbers contain it.
            depth_is_homogeneous: take the depth for z + P[2, 3], though it was trained with z.
                This makes every location P[2, 3] too near, less than 5 mm for KITTI's cameras.
            wrap_alphas: bring alphas into [-pi, pi]. The authors' reach to 3/2 pi either way.
            fit_centre: look for the place where the 3D box's centre appears (see `fit_centres`).
                Else, as in the authors' code, the 2D box's middle is taken for it. Given the depth,
                size and angle of KITTI's labels, that misses the labelled place by 8 cm (median),
                and by 63 cm where the image cuts objects off; the fit leaves 1.4 and 2.7 cm.
            training_focal_length: in pixels of the network's input, of what it was trained with:
                depths are multiplied by the ratio of the camera's to it (see `focal_ratio`) before
                boxes are placed by them. 0 takes depths as they are. May be changed at any time.
            mean_over_objects: divide the losses by the objects, as the paper does (appendix B),
                and not by all 50 slots, as the authors' training does. There the depth of the one
                car of an image weighs a fiftieth of what its heat map does.
        """
        self.num_classes = num_classes
        self.max_drawn = MAX_OBJECTS if compat else None
        self.translate_sizes = compat if translate_sizes is None else translate_sizes
        self.depth_is_homogeneous = compat if depth_is_homogeneous is None else depth_is_homogeneous
        self.wrap_alphas = not compat if wrap_alphas is None else wrap_alphas
        self.fit_centre = not compat if fit_centre is None else fit_centre
        self.training_focal_length = training_focal_length
        self.mean_over_objects = mean_over_objects
        self.heads = (
            Head(
                "heatmap",
                num_classes,
                activation=torch.sigmoid,
                initial_bias=HEATMAP_BIAS,
                unmirror=mirror,
                dense=True,
            ),
            Head("depth", 1, activation=metric_depth, unmirror=mirror),
            Head("orientation", 8, unmirror=unmirror_orientation),
            Head("dimensions", 3, unmirror=mirror),
            Head("size", 2, loss_weight=0.1, unmirror=mirror),
            Head("offset", 2),
        )

    def encode(
        self,
        truth: Detections3D,
        view: View,
        grid: tuple[int, int],
        ignored: Detections2D | None = None,
    ) -> dict[str, Tensor]:
        """Targets of one image, see `Task.encode`.

        A view without a camera leaves depth and dimensions out of the training, as a crop or a
        change of scale destroys what the image tells about them; the angle survives both.

        Returns:
            heatmap: (C, H, W).
            index: (50,) int64 cell of each object.
            mask: (50,) bool, whether the slot holds an object.
            metric_mask: (50,) bool, whether it also holds a depth and dimensions.
            size: (50, 2) width, height in cells.
            offset: (50, 2) x, y from the cell to the centre, in cells.
            depth: (50, 1) z in metres.
            dimensions: (50, 3) height, width, length in metres.
            orientation: (50, 8) of `encode_alpha`, as the input shows it.
        """
        targets = {
            "heatmap": torch.zeros(self.num_classes, *grid),
            "index": torch.zeros(MAX_OBJECTS, dtype=torch.int64),
            "mask": torch.zeros(MAX_OBJECTS, dtype=torch.bool),
            "metric_mask": torch.zeros(MAX_OBJECTS, dtype=torch.bool),
            "size": torch.zeros(MAX_OBJECTS, 2),
            "offset": torch.zeros(MAX_OBJECTS, 2),
            "depth": torch.zeros(MAX_OBJECTS, 1),
            "dimensions": torch.zeros(MAX_OBJECTS, 3),
            "orientation": torch.zeros(MAX_OBJECTS, 8),
        }
        if ignored is not None:
            draw_ignored(targets["heatmap"], ignored, view, whole_cells=False)
        alphas = mirror_alpha(truth.alphas) if view.mirrored else truth.alphas
        orientations = encode_alpha(alphas)
        objects = islice(place(truth, view, grid, whole_cells=False), self.max_drawn)
        for slot, item in enumerate(objects):
            column, row = item.cell
            draw_gaussian(targets["heatmap"][item.label], column, row, item.radius)
            if slot >= MAX_OBJECTS:
                continue
            targets["index"][slot] = row * grid[1] + column
            targets["mask"][slot] = True
            targets["metric_mask"][slot] = view.camera is not None
            targets["size"][slot] = item.size
            targets["offset"][slot] = item.centre - item.centre.floor()
            targets["depth"][slot] = truth.locations[item.row, 2]
            targets["dimensions"][slot] = truth.dimensions[item.row]
            targets["orientation"][slot] = orientations[item.row]
        return targets

    def counts(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Peaks, slots and angles inside each bin, and regressed values: what losses divide by."""
        objects_only = self.mean_over_objects
        return {
            "heatmap": count_peaks(targets["heatmap"]),
            "orientation": count_angles(targets["orientation"], targets["mask"], objects_only),
            **{
                name: count_coordinates(targets[name], counted)
                if objects_only
                else count_all(targets[name])
                for name, counted in _regressed(targets).items()
            },
        }

    def losses(
        self, maps: Maps, targets: Mapping[str, Tensor], counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """Focal loss of the heat map, bin loss of the angle, L1 of the others (eq. 5-7)."""
        index = targets["index"]
        counts = self.counts(targets) if counts is None else counts
        values = {**maps, "depth": metric_depth(maps["depth"])}
        l1 = masked_l1 if self.mean_over_objects else mean_l1
        return {
            "heatmap": focal_loss(maps["heatmap"], targets["heatmap"], counts["heatmap"]),
            "orientation": orientation_loss(
                maps["orientation"],
                targets["orientation"],
                index,
                targets["mask"],
                counts["orientation"],
                objects_only=self.mean_over_objects,
            ),
            **{
                name: l1(values[name], targets[name], index, counted, counts[name])
                for name, counted in _regressed(targets).items()
            },
        }

    def collect(self, values: Values, max_detections: int) -> dict[str, Tensor]:
        """Boxes in cells, depths, dimensions, alphas, scores, labels; see `Task.collect`."""
        peaks = find_peaks(values["heatmap"], max_detections)
        return {
            "boxes": read_boxes(values, peaks),
            "depths": values.at("depth", peaks.indices).squeeze(-1),
            "dimensions": values.at("dimensions", peaks.indices).float(),
            "alphas": decode_alpha(values.at("orientation", peaks.indices).double()),
            "scores": peaks.scores.float(),
            "labels": peaks.labels,
        }

    def assemble(self, found: Mapping[str, Tensor], views: Sequence[View]) -> list[Detections3D]:
        """Boxes of each image in its own pixels and in metres before its own camera.

        Without the option `fit_centre` the middle of the 2D box is taken for the place where the 3D
        box's centre appears.

        Raises:
            ValueError: A view has no camera.
        """
        results = []
        for i, view in enumerate(views):
            own = {name: value[i] for name, value in found.items()}
            places = self._place(
                own["boxes"], own["depths"], own["dimensions"], own["alphas"], view
            )
            results.append(
                Detections3D(
                    scores=own["scores"],
                    labels=own["labels"],
                    dimensions=own["dimensions"],
                    **places,
                )
            )
        return results

    def _place(
        self, boxes: Tensor, depths: Tensor, dimensions: Tensor, alphas: Tensor, view: View
    ) -> dict[str, Tensor]:
        """What depends on the view: boxes, locations, yaws and alphas of one image, float32."""
        if view.camera is None:
            raise ValueError(
                "detection3d needs a calibration: this image came without a camera, and a depth "
                "without intrinsics is no place"
            )
        centres = view.to_image((boxes[:, :2] + boxes[:, 2:]) / 2)
        image_boxes = view.boxes_to_image(boxes)
        if self.translate_sizes:
            half = view.to_image(boxes[:, 2:] - boxes[:, :2]) / 2
            image_boxes = torch.cat([centres - half, centres + half], dim=-1)
        if view.mirrored:
            alphas = mirror_alpha(alphas)
        if self.wrap_alphas:
            alphas = wrap(alphas)
        homogeneous = depths.double()
        if self.training_focal_length:
            homogeneous = homogeneous * focal_ratio(view, self.training_focal_length)
        if not self.depth_is_homogeneous:
            homogeneous = homogeneous + view.camera.projection[2, 3]
        if self.fit_centre:
            centres = fit_centres(
                view.camera,
                centres,
                homogeneous,
                dimensions,
                alphas,
                visible=visible_region(view),
            )
        return {
            "boxes": image_boxes.float(),
            "locations": locate(view.camera, centres, homogeneous, dimensions[:, 0]).float(),
            "yaws": alpha_to_yaw(view.camera, alphas, centres[:, 0]).float(),
            "alphas": alphas.float(),
        }


def _regressed(targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is learnt by an L1 error, with the (B, 50) slots that hold it."""
    mask, metric = targets["mask"], targets["metric_mask"]
    return {"depth": metric, "dimensions": metric, "size": mask, "offset": mask}
