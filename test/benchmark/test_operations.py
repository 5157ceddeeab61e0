import time

import pytest
import torch
from torch import nn

from centernet_ros.backends import has_bfloat16
from centernet_ros.benchmark.operations import count_operations, peak_rate
from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.deform_conv import DeformConv
from centernet_ros.tasks import build_task


class Backbone(nn.Module):
    """One deformable and one plain convolution, at stride 4."""

    out_channels, head_channels, input_multiple, stacks = 8, 16, 4, 1

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.deform = DeformConv(4, 8)

    def forward(self, image):
        return [self.deform(self.stem(image))]


def test_operations_are_those_of_all_convolutions():
    heads = build_task("detection2d", 5).heads
    model = CenterNet(Backbone(), heads)
    cells = 2 * 16 * 8  # of two inputs of 64x32
    deform = 9 * 4 * 8 + 9 * 4 * 27
    each_head = [9 * 8 * 16 + 16 * channels for channels in (5, 2, 2)]
    expected = 2 * cells * (9 * 3 * 4 + deform + sum(each_head))

    assert count_operations(model, (2, 3, 64, 32)) == expected
    # The network itself stays as it was.
    assert type(model.backbone.deform) is DeformConv
    assert next(model.parameters()).device.type == "cpu"


class TwoStacks(Backbone):
    stacks = 2

    def forward(self, image):
        return 2 * super().forward(image)


def test_heads_that_only_training_looks_at_are_not_counted():
    heads = build_task("detection2d", 5).heads
    one, two = (CenterNet(backbone(), heads) for backbone in (Backbone, TwoStacks))
    assert count_operations(two, (1, 3, 64, 32)) == count_operations(one, (1, 3, 64, 32))
    assert len(two(torch.zeros(1, 3, 64, 32))[0]) == len(heads)  # the network keeps them


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_peak_rate_is_above_that_of_a_thin_convolution(precision):
    device = torch.device("cpu")
    if precision == "bfloat16" and not has_bfloat16(device):
        pytest.skip("this processor does not multiply in bfloat16: it would take minutes")
    peak = peak_rate(device, precision, time.process_time)
    image = torch.randn(1, 3, 256, 256, dtype=getattr(torch, precision))
    kernel = torch.randn(3, 3, 1, 1, dtype=image.dtype)
    start = time.process_time()
    for _ in range(5):
        torch.nn.functional.conv2d(image, kernel)
    rate = 5 * 2 * 9 * 256**2 / (time.process_time() - start)

    assert peak > rate
