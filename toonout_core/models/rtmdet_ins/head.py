"""The head predicts for each cell a score, a box and the weights of its mask's network."""

from __future__ import annotations

from typing import NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.linear import pointwise
from .layers import ConvBlock

STRIDES = (8, 16, 32)


class RawDetections(NamedTuple):
    """What the network says of every cell: a tensor per stride in all fields but the last.

    `logits` B×classes×h×w; `distances` B×4×h×w from the cell's point to left, top, right, bottom,
    in pixels of the input; `kernels` B×K×h×w; `prototypes` B×P×H/8×W/8.
    """

    logits: tuple[Tensor, ...]
    distances: tuple[Tensor, ...]
    kernels: tuple[Tensor, ...]
    prototypes: Tensor


class PrototypeHead(nn.Module):
    """All levels at the finest resolution → `prototypes` maps that every mask is mixed from."""

    def __init__(
        self, channels_in: int, channels: int, *, depth: int, prototypes: int, eps: float
    ) -> None:
        super().__init__()
        self.fusion_conv = nn.Conv2d(len(STRIDES) * channels_in, channels, 1)
        self.stacked_convs = nn.Sequential(
            *(ConvBlock(channels, channels, 3, eps=eps) for _ in range(depth))
        )
        self.projection = nn.Conv2d(channels, prototypes, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """A convolution of 1×1 may come before the enlargement: there it costs less."""
        pieces = self.fusion_conv.weight.chunk(len(features), 1)
        fused = pointwise(features[0], pieces[0], self.fusion_conv.bias)
        for level, piece in zip(features[1:], pieces[1:], strict=True):
            fused = fused + F.interpolate(
                pointwise(level, piece), size=fused.shape[-2:], mode="bilinear"
            )
        return self.projection(self.stacked_convs(fused))


class InstanceHead(nn.Module):
    """Towers of `depth` convolutions per level, whose norms are the level's own.

    `shared_convs`: one convolution for all levels of a tower of scores or boxes (not of kernels).
    `shared_towers`: boxes are read from the tower of scores, as in all published files.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        classes: int,
        depth: int,
        kernel_length: int,
        prototypes: int,
        mask_channels: int,
        mask_depth: int,
        shared_convs: bool,
        shared_towers: bool,
        eps: float,
    ) -> None:
        super().__init__()

        def towers(shared: bool) -> nn.ModuleList:
            return _towers(channels_in, channels, depth, shared=shared, eps=eps)

        def outputs(length: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels, length, 1) for _ in STRIDES)

        self.cls_convs = towers(shared_convs)
        self.reg_convs = self.cls_convs if shared_towers else towers(shared_convs)
        self.kernel_convs = towers(False)
        self.rtm_cls = outputs(classes)
        self.rtm_reg = outputs(4)
        self.rtm_kernel = outputs(kernel_length)
        self.mask_head = PrototypeHead(
            channels_in, mask_channels, depth=mask_depth, prototypes=prototypes, eps=eps
        )

    def forward(self, features: tuple[Tensor, ...]) -> RawDetections:
        logits, distances, kernels = [], [], []
        for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
            scored = self.cls_convs[level](feature)
            boxed = scored if self.reg_convs is self.cls_convs else self.reg_convs[level](feature)
            logits.append(self.rtm_cls[level](scored))
            distances.append(F.relu(self.rtm_reg[level](boxed)) * stride)
            kernels.append(self.rtm_kernel[level](self.kernel_convs[level](feature)))
        return RawDetections(
            tuple(logits), tuple(distances), tuple(kernels), self.mask_head(features)
        )


def _towers(
    channels_in: int, channels: int, depth: int, *, shared: bool, eps: float
) -> nn.ModuleList:
    first = _tower(channels_in, channels, depth, eps)
    others = (
        _tower(channels_in, channels, depth, eps, like=first if shared else None)
        for _ in STRIDES[1:]
    )
    return nn.ModuleList((first, *others))


def _tower(
    channels_in: int, channels: int, depth: int, eps: float, like: nn.Sequential | None = None
) -> nn.Sequential:
    convs = [cast(ConvBlock, block).conv for block in like] if like is not None else [None] * depth
    return nn.Sequential(
        *(
            ConvBlock(channels if index else channels_in, channels, 3, conv=conv, eps=eps)
            for index, conv in enumerate(convs)
        )
    )
