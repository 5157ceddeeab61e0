"""A set as large as KITTI's validation split."""

import dataclasses
import time

import numpy as np
import pytest

from centernet_ros.kitti import KittiObject
from training.evaluation.kitti import KittiFrame, evaluate_kitti

FRAMES, LABELS, RESULTS = 3769, 10, 50
KINDS = "Car", "Car", "Car", "Car", "Pedestrian", "Cyclist", "Van", "DontCare"


def random_label(random):
    x, z = random.uniform(-20, 20), random.uniform(5, 60)
    middle = np.array([600 + 700 * x / z, 180.0])
    half = np.array([800, 600]) / z
    yaw = random.uniform(-3, 3)
    return KittiObject(
        kind=str(random.choice(KINDS)),
        truncated=0.0,
        occluded=int(random.integers(0, 3)),
        alpha=float(yaw - np.arctan2(x, z)),
        box=(*(middle - half), *(middle + half)),
        dimensions=(1.5, 1.6, 4.0),
        location=(x, 1.6, z),
        yaw=yaw,
    )


def random_result(random, label, *, near):
    """The label a little or far away from its place."""
    kind = label.kind if label.kind in ("Car", "Pedestrian", "Cyclist") else "Car"
    shift = random.normal(0, 2 if near else 80)
    move = random.normal(0, 0.3 if near else 6, 3)
    return dataclasses.replace(
        label,
        kind=kind,
        box=tuple(np.array(label.box) + shift),
        location=tuple(np.array(label.location) + move),
        score=float(random.uniform(0.3, 1.0) if near else random.uniform(0.0, 0.4)),
    )


def random_frames(count):
    random = np.random.default_rng(0)
    frames = []
    for i in range(count):
        labels = [random_label(random) for _ in range(LABELS)]
        results = [
            random_result(random, labels[k % LABELS], near=k < LABELS) for k in range(RESULTS)
        ]
        frames.append(KittiFrame(f"{i:06d}", labels, results))
    return frames


def processor_seconds(frames):
    start = time.process_time()
    metrics = evaluate_kitti(frames)
    assert metrics.num_truths["Car"][2] > len(frames)
    return time.process_time() - start


@pytest.mark.slow
def test_the_time_grows_with_the_frames_and_not_faster():
    frames = random_frames(FRAMES)
    tenth = min(processor_seconds(frames[: FRAMES // 10]) for _ in range(3))
    whole = processor_seconds(frames)
    print(
        f"{FRAMES} frames in {whole:.1f} s of one core, {whole / tenth:.1f} times a tenth of them"
    )

    assert whole < 20 * tenth
