"""A second neck beside the network's own, only while training: it teaches the trunk faster.

The authors' ResNet up-sampling has no connection around the trunk's last stage, so a trunk without
ImageNet weights learns slowly: everything, also the place of a small object, has to find its way
through a map of stride 32. A neck with such connections (as in feature pyramid networks) beside it
learns several times faster, and both share the trunk. Its maps count as one more stack of the loss,
like the first stack of an hourglass.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from centernet_ros.models.centernet import CenterNet
from centernet_ros.models.resnet import ResNet
from training.config import ConfigError

CHANNELS = 64


class WithSkipNeck(nn.Module):
    """A ResNet CenterNet whose trunk also feeds a neck with skip connections.

    Attributes:
        model: the network itself; all that is kept after training.
    """

    def __init__(self, model: CenterNet) -> None:
        super().__init__()
        if not isinstance(model.backbone, ResNet):
            raise ConfigError("auxiliary_neck: only the ResNet backbones can have one")
        self.model = model
        self.lateral = nn.ModuleList(
            nn.Conv2d(_out_channels(stage), CHANNELS, 1) for stage in model.backbone.stages
        )
        self.smooth = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(CHANNELS, head[-1].out_channels, 1),  # type: ignore[index]
                )
                for name, head in model.heads.items()
            }
        )
        # The same start as the network's own heads: nearly nothing everywhere.
        self.heads["heatmap"][-1].bias = nn.Parameter(  # type: ignore[index]
            model.heads["heatmap"][-1].bias.detach().clone()  # type: ignore[index]
        )

    def forward(self, image: Tensor) -> list[dict[str, Tensor]]:
        """(B, 3, H, W) to the maps of the network's own stack, then those of the second neck."""
        backbone = self.model.backbone
        assert isinstance(backbone, ResNet)
        features = [backbone.stem(image)]
        for stage in backbone.stages:
            features.append(stage(features[-1]))
        own = backbone.up(features[-1])
        merged = self.lateral[-1](features[-1])
        for lateral, feature in zip(self.lateral[-2::-1], features[-2:0:-1], strict=True):
            merged = F.interpolate(merged, scale_factor=2.0) + lateral(feature)
        second = self.smooth(merged)
        return [
            {name: head(own) for name, head in self.model.heads.items()},
            {name: head(second) for name, head in self.heads.items()},
        ]


def _out_channels(stage: nn.Module) -> int:
    """Channels of a stage's output: those of its last normalisation."""
    return [layer for layer in stage.modules() if isinstance(layer, nn.BatchNorm2d)][
        -1
    ].num_features
