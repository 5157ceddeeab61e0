"""Batch normalisation folded into the convolutions before it, for running a trained network."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from centernet_ros.models.deform_conv import DeformConv

Convolution = (nn.Conv2d, nn.ConvTranspose2d, DeformConv)


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that computes the same with fewer layers.

    A batch normalisation is folded into the convolution that its module declares right before it,
    which in all our networks is the one that runs right before it.
    """
    model = copy.deepcopy(model).eval()
    for parent in list(model.modules()):
        for (_, layer), (name, norm) in pairwise(list(parent.named_children())):
            if not (isinstance(norm, nn.BatchNorm2d) and isinstance(layer, Convolution)):
                continue
            if getattr(layer, "groups", 1) == 1:
                _fold(layer, norm)
                setattr(parent, name, nn.Identity())
    return model


def _fold(layer: nn.Conv2d | nn.ConvTranspose2d | DeformConv, norm: nn.BatchNorm2d) -> None:
    layer.weight, layer.bias = fuse_conv_bn_weights(
        layer.weight,
        layer.bias,
        cast(Tensor, norm.running_mean),
        cast(Tensor, norm.running_var),
        norm.eps,
        norm.weight,
        norm.bias,
        transpose=isinstance(layer, nn.ConvTranspose2d),
    )
