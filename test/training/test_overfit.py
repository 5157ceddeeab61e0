"""A few real images are learnt by heart: from random weights, with the command that users have.

What is measured are the very images that were trained on, so that only a mistake anywhere between
labels and metric could keep the figures down.
"""

from pathlib import Path

import pytest

from centernet_ros.checkpoint import read_checkpoint
from training.train import main

DATA = Path(__file__).parents[3] / "shared" / "data"

COCO = """
task: {task}
threads: 1
backbone: resnet18_pyramid
input_size: [128, 128]
data: {{kind: coco, train: {source}, validation: {source}, limit: {count}, workers: 0, cache: true}}
augment: {{flip: 0, scale: [1, 1], shift: 0, colour: 0}}
loss: {{size_weight: 0.5}}
optimiser: {{batch_size: {count}, epochs: 220, warmup_steps: 10, learning_rate: 2e-3, clip: 10,
  precision: bfloat16}}
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


@pytest.mark.parametrize(
    ("task", "labels", "count", "least"),
    [("pose", "person_keypoints", 8, 0.8)],
)
def test_the_first_coco_images(tmp_path, task, labels, count, least):
    annotations = f"annotations/{labels}_train2017_subset.json"
    source = f"{{annotations: {annotations}, images: images/train2017}}"
    recipe = COCO.format(task=task, source=source, count=count)

    assert learnt(tmp_path, recipe, DATA / "coco")["ap50"] >= least
