"""A few real images are learnt by heart: from random weights, with the command that users have.

What is measured are the very images that were trained on, so that only a mistake anywhere between
labels and metric could keep the figures down.
"""

from pathlib import Path

import pytest

from centernet_ros.checkpoint import read_checkpoint
from centernet_ros.kitti import read_objects
from training.evaluation.kitti import KittiFrame, evaluate_kitti
from training.train import main

DATA = Path(__file__).parents[3] / "shared" / "data"

KITTI = """
task: detection3d
threads: 1
backbone: resnet18
input_size: [128, 416]
fit: width
data: {{kind: kitti, train: {source}, validation: {source}, workers: 0, cache: true}}
augment: {{flip: 0, scale: [1, 1], shift: 0, colour: 0}}
loss: {{size_weight: 0.5}}
optimiser: {{batch_size: 8, epochs: 450, warmup_steps: 20, learning_rate: 5e-4, clip: 10,
  precision: auto}}
"""

COCO = """
task: {task}
threads: 1
backbone: resnet18_pyramid
input_size: [128, 128]
data: {{kind: coco, train: {source}, validation: {source}, limit: {count}, workers: 0, cache: true}}
augment: {{flip: 0, scale: [1, 1], shift: 0, colour: 0}}
loss: {{size_weight: 0.5}}
optimiser: {{batch_size: {count}, epochs: 220, warmup_steps: 10, learning_rate: 2e-3, clip: 10,
  precision: auto}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there"),
]


def learnt(folder, recipe, root):
    """Figures that a run reaches on the images that it was trained on."""
    config = folder / "run.yaml"
    config.write_text(f"output: {folder / 'run'}\n{recipe}")
    options = ["--config", str(config), "--set", f"data.root={root}", "--device", "cpu"]
    assert main(options) == 0
    return read_checkpoint(folder / "run" / "weights.safetensors")[2]["metrics"]


def frames_with_most_cars(folder, count):
    """The frames in which most cars count at moderate difficulty.

    Fewer than 41 of them could not reach 100; with just 41 the greatest AP is 90.9 of 11 points
    and 97.5 of 40, see docs/metrics.md.
    """
    labels = {path.stem: read_objects(path.read_text()) for path in folder.glob("*.txt")}
    cars = {
        name: evaluate_kitti([KittiFrame(name, objects, [])]).num_truths["Car"][1]
        for name, objects in labels.items()
    }
    return sorted(labels, key=lambda name: (-cars[name], name))[:count]


def test_cars_of_eight_kitti_frames(tmp_path):
    frames = tmp_path / "frames.txt"
    frames.write_text("\n".join(frames_with_most_cars(DATA / "kitti/training/label_2", 8)))
    recipe = KITTI.format(source=f"{{folder: training, list: {frames}}}")

    cars = learnt(tmp_path, recipe, DATA / "kitti")["Car"]

    assert cars["truths"]["moderate"] >= 41
    for points in ("R11", "R40"):
        assert cars["2d@0.70"][points]["moderate"] >= 90
        # The labels themselves, read off the middle of their 2D boxes, reach 91.
        assert cars["bev@0.50"][points]["moderate"] >= 80


@pytest.mark.parametrize(
    ("task", "labels", "count", "least"),
    [("detection2d", "instances", 16, 0.9), ("pose", "person_keypoints", 8, 0.8)],
)
def test_the_first_coco_images(tmp_path, task, labels, count, least):
    annotations = f"annotations/{labels}_train2017_subset.json"
    source = f"{{annotations: {annotations}, images: images/train2017}}"
    recipe = COCO.format(task=task, source=source, count=count)

    assert learnt(tmp_path, recipe, DATA / "coco")["ap50"] >= least
