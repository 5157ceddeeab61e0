"""Every group of the authors' numbers has a test: a new one fails here until it gets its own."""

import json

import numpy as np
import pytest

FILES = {
    "decode/decode.npz": {  # test_decode.py, test_merging.py
        *("topk", "nms_plateau", "depth_from_logit", "get_alpha", "flip"),
        *("ctdet", "ctdet_post", "ddd", "ddd_post", "mp", "mp_post"),
        *("nms", "soft_nms", "soft_nms39", "det_ctdet", "det_mp", "det_ddd"),
    },
    "e2e/e2e.npz": None,  # test_end_to_end.py, which looks at the groups itself
    "eval/coco_format.json": {"ctdet", "multi_pose"},
    "eval/kitti_eval.json": {"gt", "det", "AP", "stats"},
    "eval/voc_eval.json": {
        *("gt_xyxy_difficult_1based", "det_image_score_xyxy_1based", "result"),
    },
    "kitti/convert.json": {"files", "converted"},  # test_kitti.py
    "kitti/geometry.npz": {"in", "A", "B", "alpha8"},
    "kitti/result_files.json": {"input", "files"},
    "losses/full_model.json": None,  # test_full_model.py
    "losses/losses.json": None,  # test_losses.py
    "preprocess/preprocess.json": None,  # test_preprocess.py
    "preprocess/preprocess.npz": None,
    "targets/annotations.json": {"ctdet", "multi_pose", "ddd"},
    "targets/ctdet.npz": {  # test_targets.py, test_unused_targets.py, test_training_inputs.py
        *("val_fix", "val_keep", "train_noflip", "train_flip", "crop_s0.7", "crop_s1.3_flip"),
        *("catspec", "densewh", "noreg", "msra"),
    },
    "targets/ddd.npz": {
        *("val", "val_keep", "train_noaug", "train_rectmask", "train_aug", "msra", "nobbox"),
    },
    "targets/multi_pose.npz": {
        *("val", "train_noflip", "train_flip", "crop_s0.8", "crop_s1.2_flip", "dense", "msra"),
    },
    "targets/primitives.npz": {  # test_targets.py, test_unused_targets.py, test_augmentation.py
        *("gaussian_radius", "gaussian2D", "draw", "get_border", "color_aug"),
    },
}
"""Names with which the keys of each file begin."""


def test_every_file_is_known(reference):
    folder = reference.folder / "vectors"
    paths = [path for path in folder.rglob("*") if path.suffix in (".json", ".npz")]
    found = {path.relative_to(folder).as_posix() for path in paths}
    # The test of the networks looks at their files itself.
    known = {name for name in found if name.startswith("networks/")} | {"SEEDS.json", *FILES}
    assert found == known


@pytest.mark.parametrize("file", [name for name, groups in FILES.items() if groups])
def test_every_group_is_known(reference, file):
    path = reference.folder / "vectors" / file
    keys = np.load(path).files if path.suffix == ".npz" else json.loads(path.read_text())
    assert {key.split("/")[0] for key in keys} == FILES[file]
