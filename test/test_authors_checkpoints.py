"""The authors' weights files: every form is read, and what does not fit is told apart."""

import pytest
import torch
import torchvision

from authors_networks import assert_same_weights, authors_state, network, save
from centernet_ros.checkpoint import (
    CheckpointError,
    load_model,
    load_weights,
    recognise,
    save_checkpoint,
)
from centernet_ros.checkpoint.authors import UNUSED
from centernet_ros.models import BACKBONES
from centernet_ros.presets import PRESETS, Fit, ModelPreset


@pytest.fixture(scope="module")
def trained():
    return network()


@pytest.fixture(scope="module")
def state(trained):
    return authors_state(trained)


# --- forms that are read


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_form_is_read(tmp_path, trained, state, zipped, wrapped, prefix):
    content = {prefix + name: value for name, value in state.items()}
    if wrapped:
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))]).state_dict()
        content = {"epoch": 140, "state_dict": content, "optimizer": optimizer}
    model = network(seed=1)
    load_weights(model, save(tmp_path / "model_last.pth", content, zipped=zipped))
    assert_same_weights(model, trained)
    model = network(seed=1)
    load_weights(model, content)
    assert_same_weights(model, trained)


def test_batch_counts_may_be_absent(trained, state):
    model = network(seed=1)
    load_weights(model, {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")})
    assert_same_weights(model, trained)


def test_classifier_of_dla_is_ignored():
    trained, model = network("dla34"), network("dla34", seed=1)
    classifier = dict(zip(UNUSED, (torch.zeros(1000, 512, 1, 1), torch.zeros(1000)), strict=True))
    load_weights(model, {**authors_state(trained), **classifier})
    assert_same_weights(model, trained)


# --- tensors that do not fit


def test_wrong_backbone_is_named(tmp_path, state):
    path = save(tmp_path / "model.pth", {"state_dict": state})
    with torch.device("meta"):
        model = network("dla34", "detection3d", 3)
    with pytest.raises(CheckpointError) as raised:
        load_weights(model, path)
    message = str(raised.value)
    assert f"weights file {path} does not fit the network" in message
    assert "(resnet18 for detection2d with 2 classes into dla34 for detection3d with 3" in message
    assert "missing backbone.trunk.base_layer.0.weight (the authors' base.base_layer.0" in message
    assert "unexpected conv1.weight" in message
    assert "more missing" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"layer1.0.bn1.bias": None},
            r"missing backbone\.stages\.0\.0\.bn1\.bias \(the authors' layer1\.0\.bn1\.bias\)$",
        ),
        ({"fc.weight": torch.zeros(3)}, r"unexpected fc\.weight$"),
        ({"base.fc.weight": torch.zeros(1000, 512, 1, 1)}, r"unexpected base\.fc\.weight$"),
        (
            {"wh.2.weight": torch.zeros(4, 64, 1, 1)},
            r"heads\.size\.2\.weight \(the authors' wh\.2\.weight\) is \(4, 64, 1, 1\), "
            r"expected \(2, 64, 1, 1\)$",
        ),
    ],
)
def test_what_does_not_fit_is_named(state, change, message):
    state = {n: v for n, v in {**state, **change}.items() if v is not None}
    model = network(seed=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_weights(model, state)
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())


# --- files that cannot be read


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kept", [20, 1000, 0.5, 0.99, -1])
def test_truncated_file_is_refused(tmp_path, state, zipped, kept):
    path = save(tmp_path / "cut.pth", {"epoch": 1, "state_dict": state}, zipped=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    for load in (lambda: load_weights(network(), path), lambda: load_model(path)):
        with pytest.raises(CheckpointError, match=r"cut\.pth cannot be read: it is damaged, cut"):
            load()


class Code:
    """What an attacker puts into a pickle."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [False, True])
def test_code_in_a_file_does_not_run(tmp_path, zipped):
    path = save(tmp_path / "evil.pth", {"state_dict": Code(tmp_path / "ran")}, zipped=zipped)
    with pytest.raises(CheckpointError, match=r"evil\.pth cannot be read"):
        load_weights(network(), path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list, expected a state dict"),
        ({"state_dict": 3}, "holds int, expected a state dict"),
        ({"epoch": 3}, "holds no state dict: 'epoch' is int, no tensor"),
        ({"state_dict": {"conv1.weight": [1]}}, r"'conv1\.weight' is list, no tensor"),
    ],
)
def test_other_contents_are_named(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        load_weights(network(), save(tmp_path / "x.pth", content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pth does not exist"):
        load_model(tmp_path / "nowhere.pth")


# --- which network it is


@pytest.mark.parametrize(
    ("backbone", "task", "classes"),
    [
        ("resnet18", "detection2d", 7),
        ("resnet101", "detection2d", 20),
        ("dla34", "detection3d", 3),
        ("dla34", "pose", 1),
        ("hourglass104", "detection2d", 80),
        ("hourglass104", "pose", 1),
    ],
)
def test_networks_are_recognised(backbone, task, classes):
    with torch.device("meta"):
        model = network(backbone, task, classes)
    for state in (model.state_dict(), authors_state(model)):
        assert recognise(state) == (backbone, task, classes)


def test_every_backbone_is_recognised():
    for backbone in BACKBONES:
        with torch.device("meta"):
            assert recognise(network(backbone).state_dict()) == (backbone, "detection2d", 2)


def test_unknown_networks_are_told(state):
    with pytest.raises(CheckpointError, match=r"none of the backbones resnet18, .*: 0\.weight$"):
        recognise({"0.weight": torch.zeros(1)})
    with torch.device("meta"):
        deeper = torchvision.models.resnet50().state_dict()
    with pytest.raises(CheckpointError, match=r"none of the backbones .*: conv1\.weight, .* more$"):
        recognise(deeper)
    bare = {name: value for name, value in state.items() if not name.startswith("reg.")}
    with pytest.raises(CheckpointError, match=r"heads heatmap, size belong to none of the tasks"):
        recognise(bare)
    with pytest.raises(CheckpointError, match=r"heads \(none\) belong"):
        recognise({n: v for n, v in state.items() if n.split(".")[0] not in ("hm", "wh", "reg")})


@pytest.mark.parametrize(
    ("name", "classes", "preset"),
    [
        ("ctdet_coco_resdcn18", 80, PRESETS["ctdet_coco_resdcn18"]),
        ("ctdet_pascal_resdcn18_384", 20, PRESETS["ctdet_pascal_resdcn18_384"]),
        # Another name: the tensors tell.
        ("model_best", 80, PRESETS["ctdet_coco_resdcn18"]),
        ("model_best", 20, PRESETS["ctdet_pascal_resdcn18_512"]),
    ],
)
def test_preset_of_a_file(tmp_path, name, classes, preset):
    trained = network(classes=classes)
    path = save(tmp_path / f"{name}.pth", {"epoch": 1, "state_dict": authors_state(trained)})
    model, found = load_model(path)
    assert found == preset
    assert_same_weights(model, trained)


@pytest.mark.parametrize(("task", "classes"), [("detection3d", 3), ("pose", 1)])
def test_preset_of_other_tasks(tmp_path, task, classes):
    path = save(tmp_path / "m.pth", authors_state(network(task=task, classes=classes)))
    _, preset = load_model(path)
    assert (preset.task, preset.backbone) == (task, "resnet18")
    assert preset.fit is (Fit.WIDTH if task == "detection3d" else Fit.KEEP)
    assert preset.compat


def test_preset_can_be_given(tmp_path, state, trained):
    path = save(tmp_path / "model_best.pth", state)
    with pytest.raises(CheckpointError, match=r"detection2d with 2 classes.*convert .*--classes"):
        load_model(path)
    own = ModelPreset("detection2d", "resnet18", ("cat", "dog"), (320, 320))
    model, preset = load_model(path, own)
    assert preset is own
    assert_same_weights(model, trained)
    with pytest.raises(CheckpointError, match="unknown preset 'coco'; known: ctdet_coco_dla_1x, "):
        load_model(path, "coco")
    save_checkpoint(tmp_path / "own.safetensors", model, own)
    half = ModelPreset("detection2d", "resnet18", ("cat", "dog"), (160, 160))
    assert load_model(tmp_path / "own.safetensors", half)[1] is half


def test_name_of_another_network_is_refused(tmp_path, state):
    path = save(tmp_path / "multi_pose_dla_3x.pth", state)
    with pytest.raises(CheckpointError, match=r"\(resnet18 for detection2d .* into dla34 for pose"):
        load_model(path)
