"""COCO's metrics by pycocotools: boxes and key points."""

from training.data.coco import OUTLINE_SHARE
from training.evaluation.coco.files import evaluate_files
from training.evaluation.coco.metrics import BoxMetrics, PoseMetrics
from training.evaluation.coco.structures import box_areas, evaluate_boxes, evaluate_poses

__all__ = [
    "OUTLINE_SHARE",
    "BoxMetrics",
    "PoseMetrics",
    "box_areas",
    "evaluate_boxes",
    "evaluate_files",
    "evaluate_poses",
]
