"""Decoder of BiRefNet (Zheng et al. 2024, arXiv:2401.03407), sections 3.2 and 3.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...ops.linear import linear, pointwise
from ...words import PatchOrder
from ..folding import compose, conv_norm, conv_twice, fold_norm
from .aspp import ASPPDeformable
from .patches import image_patches, resize

_PIXELS = 8192  # that are added at a time


@dataclass(frozen=True)
class Widths:
    """Channel counts of a decoder, read from shapes.

    maps: of the four encoder maps, coarsest first. inner: of a block; branch: of its pyramid;
    image: between the two convolutions of an image block. kernels: the kernel sizes of the
    pyramid's branches.
    """

    maps: tuple[int, int, int, int]
    inner: int
    branch: int
    image: int
    kernels: tuple[int, ...]


class DecoderBlock(nn.Module):
    """Reduces to few channels by a 3×3 conv, then a deformable pyramid, then a 3×3 conv to many."""

    def __init__(self, channels_in: int, channels_out: int, widths: Widths) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels_in, widths.inner, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(widths.inner)
        self.dec_att = ASPPDeformable(widths.inner, widths.branch, widths.kernels)
        self.conv_out = nn.Conv2d(widths.inner, channels_out, 3, padding=1)
        self.bn_out = nn.BatchNorm2d(channels_out)

    def inner(self, parts: list[Tensor]) -> Tensor:
        """Return what enters the last convolution. `parts` are joined along the channels; the list
        is emptied as soon as they are read.
        """
        x = conv_norm(self.conv_in, self.bn_in, parts)
        parts.clear()
        return self.dec_att(F.relu(x, inplace=True))

    def forward(self, parts: list[Tensor]) -> Tensor:
        return conv_norm(self.conv_out, self.bn_out, [self.inner(parts)])

    def projected(self, parts: list[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
        """1×1 convolution `weight` of the block's result; one convolution where norms are fixed."""
        if self.bn_out.training:
            return F.conv2d(self(parts), weight, bias)
        folded = fold_norm(self.conv_out.weight, self.conv_out.bias, self.bn_out)
        return F.conv2d(self.inner(parts), *compose(weight, bias, *folded), padding=1)


class ImageBlock(nn.Module):
    """Two 3×3 convolutions, nothing between them, from image patches to features."""

    def __init__(self, channels_in: int, channels_out: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, inner, 3, padding=1)
        self.conv_out = nn.Conv2d(inner, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv1(x))

    def projected(self, x: Tensor, weight: Tensor) -> Tensor:
        """1×1 convolution `weight` (1×C×1×1) of the result, B×1×H×W, of x's dtype."""
        assert self.conv_out.bias is not None and self.conv1.bias is not None
        weights = (weight, self.conv_out.weight, self.conv_out.bias)
        outer, inner, inner_bias = (tensor.to(x.dtype) for tensor in weights)
        second = compose(outer, None, inner, inner_bias)
        first = (self.conv1.weight.to(x.dtype), self.conv1.bias.to(x.dtype))
        return conv_twice(x, *first, *second)


class Lateral(nn.Module):
    """1×1 convolution of an encoder map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def merge(self, x: Tensor, full: Tensor, half: Tensor) -> Tensor:
        """up(x) + conv(full ‖ up(half)) = conv_a(full) + up(x + conv_b(half)).

        A 1×1 convolution and an up-sampling commute, so the map of the half-size picture is never
        made large. x and half have one size, `full` twice that.
        """
        wide, narrow = self.conv.weight.split([full.shape[1], half.shape[1]], 1)
        coarse = x + pointwise(half, narrow, self.conv.bias)
        if full.device.type != "cpu" or torch.is_grad_enabled():
            return pointwise(full, wide) + resize(coarse, full.shape[-2:])
        coarse = coarse.contiguous(memory_format=torch.channels_last)
        total = resize(coarse, full.shape[-2:])
        # a few rows at a time, so that there is no second map of that size
        pixels = total.permute(0, 2, 3, 1).view(-1, len(wide))
        values = full.permute(0, 2, 3, 1).flatten(0, 2)
        for sums, part in zip(pixels.split(_PIXELS), values.split(_PIXELS), strict=True):
            sums += linear(part, wide.flatten(1))
        return total


@dataclass(frozen=True)
class TrainingOutput:
    """What the losses need. Lists are coarsest first; all but `gradient_labels` at native size.

    logits: B×1×H×W. side_logits: of the coarse levels. gradient_logits: predicted gradient maps;
    gradient_labels: Laplacian of the picture times the up-sampled side logits, B×1×H×W each,
    before the sigmoid.
    """

    logits: Tensor
    side_logits: list[Tensor]
    gradient_logits: list[Tensor]
    gradient_labels: list[Tensor]


def laplacian(image: Tensor) -> Tensor:
    """5×5 Laplacian of the channels' mean: (sum of the 24 neighbours − 24·centre) / 48, B×1×H×W."""
    kernel = image.new_full((1, 1, 5, 5), 1 / 48)
    kernel[..., 2, 2] = -24 / 48
    return F.conv2d(F.pad(image.mean(1, keepdim=True), (2, 2, 2, 2), mode="reflect"), kernel)


class Decoder(nn.Module):
    """Decodes in four levels, coarsest first. Each level sees the picture again, as patches."""

    def __init__(self, widths: Widths, *, image_at_coarsest: bool, gates: tuple[int, ...]) -> None:
        super().__init__()
        c4, c3, c2, c1 = widths.maps
        image_out = {5: c4 // 8, 4: c4 // 8, 3: c3 // 8, 2: c2 // 8, 1: c1 // 8}
        image_in = {5: 3 * 1024, 4: 3 * 256, 3: 3 * 64, 2: 3 * 16, 1: 3}
        if not image_at_coarsest:
            del image_out[5]
        for index, channels in image_out.items():
            block = ImageBlock(image_in[index], channels, widths.image)
            self.add_module(f"ipt_blk{index}", block)
        for level, channels_in, channels_out in (
            (4, c4, c3),
            (3, c3, c2),
            (2, c2, c1),
            (1, c1, c1 // 2),
        ):
            total = channels_in + image_out.get(level + 1, 0)
            self.add_module(f"decoder_block{level}", DecoderBlock(total, channels_out, widths))
            if level > 1:
                self.add_module(f"lateral_block{level}", Lateral(channels_out))
                self.add_module(f"conv_ms_spvn_{level}", nn.Conv2d(channels_out, 1, 1))
        self.conv_out1 = nn.Sequential(nn.Conv2d(c1 // 2 + image_out[1], 1, 1))
        self.gates = gates
        for level in gates:
            channels = {4: c3, 3: c2, 2: c1}[level]
            trunk = (
                nn.Conv2d(channels, 16, 3, padding=1),
                nn.BatchNorm2d(16),
                nn.ReLU(inplace=True),
            )
            self.add_module(f"gdt_convs_{level}", nn.Sequential(*trunk))
            self.add_module(f"gdt_convs_pred_{level}", nn.Sequential(nn.Conv2d(16, 1, 1)))
            self.add_module(f"gdt_convs_attn_{level}", nn.Sequential(nn.Conv2d(16, 1, 1)))

    def _parts(self, level: int, x: Tensor, image: Tensor, order: PatchOrder) -> list[Tensor]:
        block = getattr(self, f"ipt_blk{level + 1}", None)
        if block is None:
            return [x]
        return [x, block(image_patches(image, x.shape[-2:], order))]

    def _logits(self, parts: list[Tensor], image: Tensor) -> Tensor:
        """conv_out1(up(p1) ‖ ipt_blk1(image)) = up(W_a·p1 + b) + W_b·ipt_blk1(image), in float32.

        conv_out1 is 1×1 and linear: no full-size map has more than one channel.
        """
        block = cast(DecoderBlock, self.decoder_block1)
        last = cast(nn.Conv2d, self.conv_out1[0])
        coarse, fine = last.weight.tensor_split([block.bn_out.num_features], 1)
        x = block.projected(parts, coarse, last.bias)
        wide = torch.promote_types(x.dtype, torch.float32)
        picture = cast(ImageBlock, self.ipt_blk1).projected(image.to(wide), fine)
        return resize(x.to(wide), image.shape[-2:]) + picture

    def forward(
        self, image: Tensor, x: Tensor, full: list[Tensor], half: list[Tensor], order: PatchOrder
    ) -> Tensor | TrainingOutput:
        """x: squeezed map of the coarsest level. full, half: three finer encoder maps of the
        picture and of the picture at half size, finest first; both lists are emptied on the way.
        """
        side: list[Tensor] = []
        gradient: list[Tensor] = []
        labels: list[Tensor] = []
        for level in (4, 3, 2):
            parts = self._parts(level, x, image, order)
            del x  # so that nobody but the list holds it
            x = getattr(self, f"decoder_block{level}")(parts)
            if self.training:
                side.append(getattr(self, f"conv_ms_spvn_{level}")(x))
            if level in self.gates:
                trunk = getattr(self, f"gdt_convs_{level}")(x)
                if self.training:
                    gradient.append(getattr(self, f"gdt_convs_pred_{level}")(trunk))
                    labels.append(laplacian(image) * resize(side[-1], image.shape[-2:]))
                x = x * torch.sigmoid(getattr(self, f"gdt_convs_attn_{level}")(trunk))
                del trunk
            x = getattr(self, f"lateral_block{level}").merge(x, full.pop(), half.pop())
        parts = self._parts(1, x, image, order)
        del x
        logits = self._logits(parts, image)
        return TrainingOutput(logits, side, gradient, labels) if self.training else logits
