import pytest
import torch

from centernet_ros.image import view_of
from centernet_ros.presets import Fit, ModelPreset
from centernet_ros.structures import CameraIntrinsics, Detections2D, Detections3D, Poses
from centernet_ros.tasks import TASKS, build_task
from centernet_ros.tasks.detection3d.geometry import locate, yaw_to_alpha
from training.evaluation.coco import evaluate_boxes, evaluate_poses
from training.evaluation.oracle import decode_with_oracle

SIZE = (256, 320)
CAMERA = CameraIntrinsics.pinhole(300.0, (160.0, 128.0), SIZE)
NONE = Detections2D.empty()


def truth_of(task_name, seed):
    """Objects of a picture, far enough from each other to have cells of their own."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.rand(*shape, generator=generator)

    grid = torch.cartesian_prod(torch.arange(4), torch.arange(3))
    centres = torch.tensor([40.0, 42]) + grid * torch.tensor([80.0, 85]) + 16 * random(12, 2) - 8
    half = 10 + 14 * random(12, 2)
    boxes = torch.cat([centres - half, centres + half], dim=1)
    scores = torch.ones(12)
    if task_name == "pose":
        labels = torch.zeros(12, dtype=torch.int64)
        joints = centres[:, None] + half[:, None] * (2 * random(12, 17, 2) - 1) * 0.95
        return Poses(boxes, scores, labels, joints, torch.ones(12, 17))
    labels = torch.arange(12) % 3
    if task_name == "detection2d":
        return Detections2D(boxes, scores, labels)
    depths, dimensions, yaws = 8 + 30 * random(12), 1 + random(12, 3), 6 * random(12) - 3
    locations = locate(CAMERA, centres.double(), depths.double(), dimensions[:, 0]).float()
    alphas = yaw_to_alpha(CAMERA, yaws, centres[:, 0]).float()
    return Detections3D(boxes, scores, labels, dimensions, locations, yaws, alphas)


def case(task_name):
    """A task, a wrong answer to two images, their targets, views and truths."""
    # The middles of these 2D boxes are where the centres of the 3D boxes appear.
    middles = {"fit_centre": False} if task_name == "detection3d" else {}
    task = build_task(task_name, 1 if task_name == "pose" else 3, **middles)
    names = ("a", "b", "c")[: task.num_classes]
    preset = ModelPreset(task_name, "resnet18", names, SIZE, Fit.CENTRE)
    views = [view_of(SIZE, preset, CAMERA)] * 2
    truths = [truth_of(task_name, seed) for seed in (1, 2)]
    grid = views[0].grid_size
    targets = [task.encode(truth, view, grid) for truth, view in zip(truths, views, strict=True)]
    batch = {name: torch.stack([target[name] for target in targets]) for name in targets[0]}
    torch.manual_seed(0)
    maps = {head.name: torch.randn(2, head.channels, *grid) for head in task.heads}
    return task, maps, batch, views, truths


def box_ap(task, results, truths):
    names = [str(label) for label in range(task.num_classes)]
    return evaluate_boxes(truths, [NONE] * 2, results, names).ap


@pytest.mark.parametrize("task_name", sorted(TASKS))
def test_perfect_maps_give_a_perfect_result(task_name):
    task, maps, targets, views, truths = case(task_name)
    before = {name: value.clone() for name, value in maps.items()}
    heads = [head.name for head in task.heads]
    results = decode_with_oracle(task, maps, targets, views, perfect=heads)
    assert box_ap(task, results, truths) > 0.99
    if task_name == "pose":
        # Joints of different kinds in one cell share one offset.
        assert evaluate_poses(truths, [NONE] * 2, results).ap > 0.95
    if task_name == "detection3d":
        for result, truth in zip(results, truths, strict=True):
            best = result[:12]
            order = [int((truth.boxes - box).abs().sum(1).argmin()) for box in best.boxes]
            torch.testing.assert_close(best.locations, truth.locations[order], rtol=0, atol=0.05)
            torch.testing.assert_close(best.dimensions, truth.dimensions[order])
    assert all(torch.equal(maps[name], value) for name, value in before.items())


def test_each_perfect_map_helps():
    task, maps, targets, views, truths = case("detection2d")

    def ap(*perfect):
        results = decode_with_oracle(task, maps, targets, views, perfect=perfect)
        return box_ap(task, results, truths)

    assert ap() < 0.05
    assert ap("size", "offset") < 0.05
    places = ap("heatmap", "offset")
    assert ap() <= places < ap("heatmap", "size") < ap("heatmap", "size", "offset")


def test_a_peak_beside_the_cell_takes_the_value_of_the_nearest_object():
    task, maps, targets, views, truths = case("detection2d")
    targets["heatmap"] = targets["heatmap"].roll(1, dims=-1)
    results = decode_with_oracle(task, maps, targets, views, perfect=("heatmap", "size", "offset"))
    for result, truth in zip(results, truths, strict=True):
        moved = truth.boxes + torch.tensor([4.0, 0, 4, 0])
        distances = (result.boxes[:12, None] - moved).abs().amax(dim=-1).amin(dim=1)
        assert distances.max() < 1e-3


def test_an_image_without_objects_keeps_its_prediction():
    task, maps, targets, views, _ = case("detection2d")
    blank = {name: torch.zeros_like(value) for name, value in targets.items()}
    plain = task.decode(maps, views)
    results = decode_with_oracle(task, maps, blank, views, perfect=("size", "offset"))
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(plain, results, strict=True))


def test_an_unknown_head_is_named():
    task, maps, targets, views, _ = case("detection2d")
    with pytest.raises(ValueError, match=r"no head 'depth' .* known: heatmap, size, offset"):
        decode_with_oracle(task, maps, targets, views, perfect=("depth",))
