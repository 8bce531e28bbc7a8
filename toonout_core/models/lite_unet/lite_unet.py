"""A U-Net whose encoder is EfficientNet-Lite (arXiv:1905.11946, without squeeze and swish)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .characters import Centres, CharacterHead
from .detail import DetailHead
from .encoder import ConvNorm, Encoder, Stage

LEVELS = 4
SURE = 2.0  # logits beyond it (alpha below 0.12, above 0.88) count threefold


class Level(nn.Module):
    """Two 3×3 convolutions over the coarser level's features and the encoder's."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in, channels_out, 3)
        self.second = ConvNorm(channels_out, channels_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class LiteUNet(nn.Module):
    """B×3×H×W, normalised → logits of alpha, B×1×H×W. H and W are multiples of 32.

    `widths`: channels of the decoder at strides 2, 4, 8, 16, 32. Its last level sees the pixels
    too, and predicts logits as 2×2 blocks. `characters`: channels of a head that tells characters
    apart, `detail` of one that draws edges of other mattes anew; None: no such head.
    """

    def __init__(
        self,
        stem: int,
        stages: Sequence[Stage],
        widths: Sequence[int],
        *,
        characters: Sequence[int] | None = None,
        detail: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.encoder = Encoder(stem, stages)
        channels = self.encoder.channels
        self.centre = nn.Conv2d(channels[-1], widths[-1], 1)
        # what the whole picture shows, told to every place of it
        self.context = nn.Conv2d(channels[-1], widths[-1], 1, bias=False)
        self.decoder = nn.ModuleList(
            Level(widths[level + 1] + channels[level] + (0 if level else 12), widths[level])
            for level in range(LEVELS)
        )
        self.head = nn.Conv2d(widths[0], 4, 1)
        self.characters = (
            CharacterHead(channels[1:], widths[1:LEVELS], characters) if characters else None
        )
        self.detail = DetailHead(channels[:4], widths[:LEVELS], detail) if detail else None

    def forward(
        self, image: Tensor, *, characters: bool = False, coarse: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Centres]:
        """Return logits; with `characters` also what the head for characters says, and with
        `coarse` (alpha B×1×H×W) what the head for detail makes of that. These must be there.
        """
        if coarse is not None:
            assert self.detail is not None
            return _decided(self.detail(image, coarse, *self.fine_features(image)))
        skips, made = self._features(image)
        logits = F.pixel_shuffle(_decided(self.head(made[0])), 2)
        if not characters:
            return logits
        assert self.characters is not None
        return logits, self.characters(skips[1:], made[1:LEVELS])

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the decoder's features at strides 2, 4, 8, 16 and 32."""
        return self._features(image)[1]

    def deep_features(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the head for characters is fed: the encoder's features at strides 4, 8, 16
        and 32, and the decoder's at 4, 8 and 16.
        """
        skips, made = self._features(image, finest=1)
        return skips[1:], made[: LEVELS - 1]

    def fine_features(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what the head for detail is fed: features of encoder and decoder at strides 2, 4,
        8 and 16.
        """
        skips, made = self._features(image)
        return skips[:LEVELS], made[:LEVELS]

    def _features(self, image: Tensor, finest: int = 0) -> tuple[list[Tensor], list[Tensor]]:
        """Return the features of encoder and decoder, finest first; the decoder's begin with level
        `finest`.
        """
        # on the CPU the convolutions are a third faster so
        image = image.contiguous(memory_format=torch.channels_last)
        skips = self.encoder(image)
        deep = skips[-1]
        x = F.relu(self.centre(deep) + self.context(deep.mean((2, 3), keepdim=True)))
        made = [x]
        for level in reversed(range(finest, LEVELS)):
            parts = [F.interpolate(x, scale_factor=2, mode="nearest"), skips[level]]
            if level == 0:
                parts.append(F.pixel_unshuffle(image, 2))
            x = self.decoder[level](torch.cat(parts, 1))
            made.insert(0, x)
        return skips, made


def _decided(logits: Tensor) -> Tensor:
    """Make logits steeper beyond `SURE`: bodies get solid and backgrounds empty, soft
    edges stay.
    """
    return 3 * logits - 2 * logits.clamp(-SURE, SURE)
