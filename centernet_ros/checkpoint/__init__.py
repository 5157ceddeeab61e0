"""Weights in and out: our safetensors files, and the files that CenterNet's authors published.

`python -m centernet_ros.checkpoint convert ctdet_coco_dla_2x.pth out.safetensors` makes one of the
other; `... show FILE` says what is in either.
"""

from centernet_ros.checkpoint.authors import recognise
from centernet_ros.checkpoint.errors import CheckpointError
from centernet_ros.checkpoint.files import (
    HEADER_KEY,
    read_checkpoint,
    read_tensors,
    read_torch_file,
    replace_preset,
    save_checkpoint,
)
from centernet_ros.checkpoint.loading import load_model, load_weights
from centernet_ros.checkpoint.trunk import load_trunk

__all__ = [
    "HEADER_KEY",
    "CheckpointError",
    "load_model",
    "load_trunk",
    "load_weights",
    "read_checkpoint",
    "read_tensors",
    "read_torch_file",
    "recognise",
    "replace_preset",
    "save_checkpoint",
]
