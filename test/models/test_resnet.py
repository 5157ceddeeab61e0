"""The trunks are torchvision's: what was trained there fits, and answers the same."""

import pytest
import torch
from torchvision.models import resnet

from centernet_ros.models.resnet import resnet18, resnet101


@pytest.mark.parametrize(
    ("ours", "theirs"), [(resnet18, resnet.resnet18), (resnet101, resnet.resnet101)]
)
def test_weights_and_answers_are_torchvisions(ours, theirs):
    torch.manual_seed(0)
    mine, original = ours().eval(), theirs().eval()
    layers = [original.layer1, original.layer2, original.layer3, original.layer4]
    parts = [(mine.stem[0], original.conv1), (mine.stem[1], original.bn1)]
    for part, layer in parts + list(zip(mine.stages, layers, strict=True)):
        assert list(part.state_dict()) == list(layer.state_dict())
        for one, other in zip(part.parameters(), layer.parameters(), strict=True):
            # Random numbers of the same spread, before they are those of the original.
            spread, expected = (x.detach().std(correction=0).item() for x in (one, other))
            assert spread == pytest.approx(expected, rel=0.1)
        part.load_state_dict(layer.state_dict())
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        expected = original.maxpool(original.relu(original.bn1(original.conv1(image))))
        for layer in layers:
            expected = layer(expected)
        assert torch.equal(mine.stages(mine.stem(image)), expected)
