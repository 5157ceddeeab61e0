"""Names of the classes of public data sets, in the order of the authors' heat maps."""

from __future__ import annotations

COCO_CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog"),
    *("horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella"),
    *("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite"),
    *("baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich"),
    *("orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote"),
    *("keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book"),
    *("clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
"""The 80 classes of COCO, by rising category id."""

_NO_CATEGORIES = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Ids of COCO that no object of the published annotations has."""

COCO_CATEGORY_IDS = tuple(number for number in range(1, 91) if number not in _NO_CATEGORIES)
"""COCO's id of each of its classes."""

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""The 20 classes of Pascal VOC."""

KITTI_CLASSES = ("pedestrian", "car", "cyclist")
"""The three classes of KITTI that are evaluated."""

POSE_CLASSES = ("person",)
"""The only class with joints."""
