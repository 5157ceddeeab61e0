"""The 3D task on KITTI's real labels."""

from pathlib import Path

import cv2
import pytest
import torch

from centernet_ros.kitti import format_results, read_objects, read_projection, to_truth
from centernet_ros.structures import CameraIntrinsics, View
from centernet_ros.tasks.detection3d import Detection3D
from centernet_ros.tasks.detection3d.angle import wrap
from centernet_ros.tasks.detection3d.geometry import alpha_to_yaw

KITTI = Path(__file__).parents[4] / "shared" / "data" / "kitti" / "training"
CLASSES = ("pedestrian", "car", "cyclist")


def real_labels():
    """Truth, camera and objects of every labelled picture of the folder."""
    for path in sorted((KITTI / "label_2").glob("*.txt")):
        picture = cv2.imread(str(KITTI / "image_2" / f"{path.stem}.png"))
        projection = read_projection((KITTI / "calib" / path.name).read_text())
        truth, ignored = to_truth(read_objects(path.read_text()), CLASSES)
        yield truth, ignored, CameraIntrinsics(projection, picture.shape[:2])


@pytest.fixture(scope="module")
def labels():
    if not KITTI.is_dir():
        pytest.skip(f"KITTI's pictures and labels are not in {KITTI}")
    return list(real_labels())


def test_real_boxes_enclose_the_projected_corners(labels):
    """Labelled 2D boxes and projected 3D boxes agree, where the picture shows the whole object."""
    overlaps = []
    for truth, _, camera in labels:
        height, width = camera.image_size
        low, high = (f(camera.project(truth.corners()), dim=1) for f in (torch.amin, torch.amax))
        projected = torch.cat([low, high], dim=1)
        x1, y1, x2, y2 = truth.boxes.unbind(1)
        whole = (x1 > 2) & (y1 > 2) & (x2 < width - 3) & (y2 < height - 3)
        boxes, projected = truth.boxes[whole].double(), projected[whole]
        inner = torch.minimum(boxes, projected)[:, 2:] - torch.maximum(boxes, projected)[:, :2]
        inner = inner.clamp(min=0).prod(1)
        union = sum((b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, projected)) - inner
        overlaps += (inner / union).tolist()
    overlaps = torch.tensor(overlaps)
    assert len(overlaps) > 100
    assert overlaps.median() > 0.85
    assert (overlaps > 0.6).double().mean() > 0.95


def test_real_alphas_are_yaws_seen_along_the_ray(labels):
    errors = []
    for truth, _, camera in labels:
        ray = torch.atan2(truth.locations[:, 0], truth.locations[:, 2])
        errors.append(wrap(truth.alphas - truth.yaws + ray))
        # The ray through the pixel starts in the colour camera, 6 cm beside KITTI's origin.
        through_pixel = alpha_to_yaw(camera, truth.alphas, camera.project(truth.locations)[:, 0])
        near = 0.02 + 0.07 / truth.locations[:, 2]
        assert (wrap(through_pixel - truth.yaws).abs() < near + 0.06).all()
    errors = torch.cat(errors).abs()
    assert len(errors) > 100
    assert errors.median() < 0.01
    assert (errors < 0.02).double().mean() > 0.9


@pytest.mark.parametrize(("fit", "median"), [(False, 0.2), (True, 0.03)])
def test_real_labels_come_back_through_the_ideal_maps(labels, ideal_maps, fit, median):
    """The place is near where the middle of the 2D box stands in for the centre, or found."""
    task, misses = Detection3D(3, fit_centre=fit), []
    for labelled, ignored, camera in labels[::5]:
        height, width = camera.image_size
        scale = 1280 / width
        rows = [[scale, 0, 0], [0, scale, 192 - scale * height / 2]]
        view = View((height, width), (384, 1280), torch.tensor(rows).double(), camera)
        # Ideal maps hold one object in a cell.
        middles = view.to_grid((labelled.boxes[:, :2] + labelled.boxes[:, 2:]) / 2)
        cells = [tuple(cell) for cell in middles.long().tolist()]
        truth = labelled[[i for i, cell in enumerate(cells) if cells.count(cell) == 1]]
        targets = task.encode(truth, view, view.grid_size, ignored)
        found = task.decode(ideal_maps(task, targets, view.grid_size), [view])[0]
        for i in range(len(truth)):
            row = (found.boxes - truth.boxes[i]).abs().amax(1).argmin()
            assert found.locations[row, 2].item() == pytest.approx(
                truth.locations[i, 2].item(), abs=1e-3
            )
            torch.testing.assert_close(
                found.dimensions[row], truth.dimensions[i], rtol=0, atol=1e-3
            )
            assert wrap(found.alphas[row] - truth.alphas[i]).abs() < 1e-3
            misses.append((found.locations[row] - truth.locations[i]).norm().item())
    assert torch.tensor(misses).median() < median


def test_real_labels_are_written_as_they_were_read(labels):
    truth, _, _ = labels[0]
    again, _ = to_truth(read_objects(format_results(truth, CLASSES)), CLASSES)
    order = truth.labels.argsort(stable=True)
    for name in ("boxes", "dimensions", "locations", "yaws", "alphas", "labels"):
        torch.testing.assert_close(getattr(again, name), getattr(truth[order], name))
