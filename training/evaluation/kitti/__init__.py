"""KITTI's object metrics: AP in the image, orientation, AP on the ground and in space."""

from training.evaluation.kitti.files import read_frames
from training.evaluation.kitti.metrics import (
    CLASSES,
    METRICS,
    KittiClass,
    KittiEntry,
    KittiMetrics,
    evaluate_kitti,
)
from training.evaluation.kitti.objects import KittiFrame, ignored_objects, kitti_objects

__all__ = [
    "CLASSES",
    "METRICS",
    "KittiClass",
    "KittiEntry",
    "KittiFrame",
    "KittiMetrics",
    "evaluate_kitti",
    "ignored_objects",
    "kitti_objects",
    "read_frames",
]
