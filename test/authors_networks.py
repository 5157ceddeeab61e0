"""Networks, and their weights as the authors name and save them."""

import torch

from centernet_ros.checkpoint.authors import to_authors
from centernet_ros.models import build_model


def network(backbone="resnet18", task="detection2d", classes=2, seed=0):
    torch.manual_seed(seed)
    return build_model(backbone, task, classes)


def authors_state(model):
    """The state of a network as the authors name it."""
    state = model.state_dict()
    return {theirs: state[ours] for ours, theirs in to_authors(state).items()}


def save(path, content, *, zipped=False):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def assert_same_weights(model, expected):
    expected = expected.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
