"""The head of YOLOv8-seg: box distances as distributions, class scores, mask coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import Prototypes, tower

STRIDES = (8, 16, 32)  # input pixels per cell, finest level first


@dataclass(frozen=True)
class Candidates:
    """Everything that the network sees, good and bad, for a batch of B pictures.

    `boxes_xyxy` B×N×4 in input pixels, `scores` B×N×classes in [0, 1], `coefficients` B×N×K,
    `prototypes` B×K×H/4×W/4. A candidate's mask logits are its coefficients times the prototypes.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    coefficients: Tensor
    prototypes: Tensor


class ExpectedDistance(nn.Module):
    """Bins of a distribution over distances → its expectation (arXiv:2006.04388, eq. 6)."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        # not trained: 0, 1, 2 …; a convolution because files have it as one
        self.conv = nn.Conv2d(bins, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """B×4·bins×N → B×4×N, in float32: half precision is too coarse for pixels."""
        bins = self.conv.in_channels
        spread = x.float().unflatten(1, (4, bins)).transpose(1, 2).softmax(1)
        return F.conv2d(spread, self.conv.weight.float()).squeeze(1)


class Head(nn.Module):
    """Feature maps of three levels → Candidates."""

    def __init__(
        self,
        *,
        channels: tuple[int, int, int],
        classes: int,
        bins: int,
        coefficients: int,
        box_width: int,
        class_width: int,
        mask_width: int,
        prototype_width: int,
    ) -> None:
        super().__init__()
        self.bins = bins
        self.cv2 = nn.ModuleList(tower(c, box_width, 4 * bins) for c in channels)
        self.cv3 = nn.ModuleList(tower(c, class_width, classes) for c in channels)
        self.dfl = ExpectedDistance(bins)
        self.proto = Prototypes(channels[0], prototype_width, coefficients)
        self.cv4 = nn.ModuleList(tower(c, mask_width, coefficients) for c in channels)

    def raw(self, features: list[Tensor]) -> list[Tensor]:
        """Per level: logits of the four distances' bins, then of the classes."""
        return [
            torch.cat((box(x), score(x)), 1)
            for box, score, x in zip(self.cv2, self.cv3, features, strict=True)
        ]

    def forward(self, features: list[Tensor]) -> Candidates:
        raw = torch.cat([level.flatten(2) for level in self.raw(features)], 2)
        distances, classes = raw.split((4 * self.bins, raw.shape[1] - 4 * self.bins), 1)
        masks = [branch(x).flatten(2) for branch, x in zip(self.cv4, features, strict=True)]
        centres_xy, strides = _grid(features)
        left_top, right_bottom = self.dfl(distances).chunk(2, 1)
        boxes = torch.cat((centres_xy - left_top, centres_xy + right_bottom), 1) * strides
        return Candidates(
            boxes_xyxy=boxes.transpose(1, 2),
            scores=classes.float().sigmoid().transpose(1, 2),
            coefficients=torch.cat(masks, 2).transpose(1, 2),
            prototypes=self.proto(features[0]),
        )


def _grid(features: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Centres of all cells, 2×N, in cells of their level, and input pixels per cell, 1×N."""
    centres: list[Tensor] = []
    strides: list[Tensor] = []
    for feature, stride in zip(features, STRIDES, strict=True):
        height, width = feature.shape[-2:]
        rows = torch.arange(height, device=feature.device) + 0.5
        columns = torch.arange(width, device=feature.device) + 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres.append(torch.stack((x.flatten(), y.flatten())))
        strides.append(torch.full_like(centres[-1][:1], stride))
    return torch.cat(centres, 1), torch.cat(strides, 1)
