"""Layers that a GPU computes in one kernel: convolution, sum and ReLU; what Triton does faster.

PyTorch's half precision convolution leaves its bias, a sum and a ReLU to a kernel each, which in
these networks take a third of the time.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import ModuleType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.deform_conv import TAPS, DeformConv

ROW = 32
"""Channels that offsets and masks are filled up to: cuDNN has no fast kernel for 27."""


MOST_VALUES = 2**31
"""Of a tensor: places in Triton's kernels are 32-bit numbers."""


class ConvRelu(nn.Module):
    """A convolution, something added to its result, and ReLU."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        """`addend` has the shape of the result."""
        layer = self.layer
        weight, bias, padding = layer.weight, layer.bias, cast("tuple[int, ...]", layer.padding)
        options = (layer.stride, padding, layer.dilation, layer.groups)
        try:
            if addend is None:
                return torch.cudnn_convolution_relu(x, weight, bias, *options)
            return torch.cudnn_convolution_add_relu(x, weight, addend, 1.0, bias, *options)
        except RuntimeError:  # cuDNN knows no such kernel for these sizes
            y = layer(x)
            return F.relu_(y if addend is None else y + addend)


class FusedDeformConv(nn.Module):
    """A deformable convolution by the fused kernel: no copies, no kernels beside it."""

    def __init__(self, layer: DeformConv, kernels: ModuleType, *, relu: bool) -> None:
        super().__init__()
        self.kernels = kernels
        self.relu = relu
        offsets = layer.conv_offset_mask
        missing = ROW - 3 * TAPS
        weight = F.pad(offsets.weight.detach(), (0, 0, 0, 0, 0, 0, 0, missing))
        self.register_buffer("offsets", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("offsets_bias", cast(Tensor, offsets.bias).detach())
        self.register_buffer("taps", kernels.tap_rows(layer.weight.detach()))
        self.register_buffer("bias", layer.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        cells = x.numel() // x.shape[1]
        if cells * max(x.shape[1], cast(Tensor, self.taps).shape[1], ROW) >= MOST_VALUES:
            return torch.cat([self(part) for part in x.chunk(2)])
        rows = F.conv2d(x, cast(Tensor, self.offsets), padding=1)
        result: Tensor = self.kernels.forward(
            x,
            rows[:, : 2 * TAPS],
            rows[:, 2 * TAPS : 3 * TAPS],
            self.taps,
            self.bias,
            raw_bias=self.offsets_bias,
            relu=self.relu,
        )
        return result


class UpSample(nn.Module):
    """A transposed convolution of each channel by itself, and something added to its result."""

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.factor = layer.stride[0]
        self.register_buffer("weight", layer.weight.detach().flatten(1).t().contiguous())

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        """`addend` has the shape of the result."""
        from centernet_ros.backends.up_sample_kernels import up_sample

        if x.numel() * self.factor**2 >= MOST_VALUES:
            addends = [None, None] if addend is None else addend.chunk(2)
            parts = zip(x.chunk(2), addends, strict=True)
            return torch.cat([self(part, own) for part, own in parts])
        return up_sample(x, cast(Tensor, self.weight), self.factor, addend)


class _LastStack(nn.Module):
    """What a detector needs of a network, without checks of its input."""

    def __init__(self, model: CenterNet) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.heads = model.heads

    def forward(self, image: Tensor) -> list[dict[str, Tensor]]:
        features = self.backbone(image)[-1]
        return [{name: head(features) for name, head in self.heads.items()}]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, DeformConv) or super().is_leaf_module(m, module_qualified_name)


def fuse(model: CenterNet, kernels: ModuleType | None = None) -> nn.Module:
    """The last stack of a network with its batch normalisation folded, with fewer kernels.

    Args:
        model: what `fold_batch_norm` gives; its layers are used.
        kernels: the module of the fused deformable convolution; None where it does not work, then
            whatever Triton would compute stays as it is.

    Returns:
        A module from (B, 3, H, W) to a list with the raw maps of the last stack.
    """
    root = _LastStack(model)
    graph = _Tracer().trace(root)
    network = fx.GraphModule(root, graph)
    _drop_identities(network)
    for node in list(graph.nodes):
        if _is(network, node, nn.ReLU):
            _fuse_relu(network, node, kernels)
    if kernels is not None:
        for node in list(graph.nodes):
            if _is(network, node, DeformConv):
                layer = cast(DeformConv, network.get_submodule(str(node.target)))
                _put(network, node, FusedDeformConv(layer, kernels, relu=False), node.args)
            elif _is_up_sampling(network, node):
                _fuse_up_sampling(network, node)
    graph.eliminate_dead_code()
    network.recompile()
    network.delete_all_unused_submodules()
    return network


def _is(network: fx.GraphModule, node: fx.Node, kind: type[nn.Module]) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), kind)


def _is_sum(node: fx.Node) -> bool:
    sums = (operator.add, operator.iadd, torch.add)
    return node.op == "call_function" and node.target in sums and len(node.args) == 2


def _drop_identities(network: fx.GraphModule) -> None:
    for node in list(network.graph.nodes):
        if _is(network, node, nn.Identity):
            node.replace_all_uses_with(cast(fx.Node, node.args[0]))
            network.graph.erase_node(node)


def _fuse_relu(network: fx.GraphModule, relu: fx.Node, kernels: ModuleType | None) -> None:
    """Let whatever comes before a ReLU compute it."""
    before = cast(fx.Node, relu.args[0])
    if len(before.users) > 1:
        return
    if kernels is not None and _is(network, before, DeformConv):
        deformable = cast(DeformConv, network.get_submodule(str(before.target)))
        _put(network, relu, FusedDeformConv(deformable, kernels, relu=True), before.args)
    elif _is_biased(network, before):
        layer = cast(nn.Conv2d, network.get_submodule(str(before.target)))
        _put(network, relu, ConvRelu(layer), before.args)
    elif _is_sum(before):
        for own, other in (before.args, before.args[::-1]):
            if isinstance(own, fx.Node) and len(own.users) == 1 and _is_biased(network, own):
                layer = cast(nn.Conv2d, network.get_submodule(str(own.target)))
                _put(network, relu, ConvRelu(layer), (*own.args, other))
                return


def _is_biased(network: fx.GraphModule, node: fx.Node) -> bool:
    return (
        _is(network, node, nn.Conv2d)
        and cast(nn.Conv2d, network.get_submodule(str(node.target))).bias is not None
    )


def _is_up_sampling(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether it is a transposed convolution that `UpSample` can compute."""
    if not _is(network, node, nn.ConvTranspose2d):
        return False
    layer = cast(nn.ConvTranspose2d, network.get_submodule(str(node.target)))
    factor = layer.stride[0]
    return (
        layer.groups == layer.in_channels == layer.out_channels
        and layer.bias is None
        and factor % 2 == 0
        and layer.stride == (factor, factor)
        and layer.kernel_size == (2 * factor, 2 * factor)
        and layer.padding == (factor // 2, factor // 2)
        and layer.output_padding == (0, 0)
        and layer.dilation == (1, 1)
    )


def _fuse_up_sampling(network: fx.GraphModule, node: fx.Node) -> None:
    layer = UpSample(cast(nn.ConvTranspose2d, network.get_submodule(str(node.target))))
    user = next(iter(node.users))
    if len(node.users) == 1 and _is_sum(user) and user.args.count(node) == 1:
        other = user.args[1 - user.args.index(node)]
        if isinstance(other, fx.Node):
            _put(network, user, layer, (*node.args, other))
            return
    _put(network, node, layer, node.args)


def _put(
    network: fx.GraphModule, node: fx.Node, layer: nn.Module, arguments: Sequence[object]
) -> None:
    """Replace a node by a new layer; what only led to the node becomes dead."""
    name = f"fused_{node.name}"
    network.add_submodule(name, layer)
    with network.graph.inserting_before(node):
        new = network.graph.call_module(name, tuple(arguments))  # type: ignore[arg-type]
    node.replace_all_uses_with(new)
    network.graph.erase_node(node)
