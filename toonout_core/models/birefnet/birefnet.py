"""BiRefNet (Zheng et al. 2024, arXiv:2401.03407), the network of ToonOut (arXiv:2509.06839)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import BadInput
from ...words import PatchOrder
from .decoder import Decoder, DecoderBlock, TrainingOutput, Widths
from .patches import resize
from .swin import SwinTransformer


class BiRefNet(nn.Module):
    """B×3×H×W, normalised, H and W multiples of 32 → logits B×1×H×W, float32 or wider.

    In training mode it returns a `TrainingOutput`. The weights do not tell `patch_order`: set it to
    the order that they were trained with. This is an implementation of our own; design and
    names come from github.com/ZhengPeng7/BiRefNet (MIT).
    """

    patch_order: PatchOrder

    def __init__(
        self,
        *,
        dim: int = 192,
        depths: tuple[int, ...] = (2, 2, 18, 2),
        heads: tuple[int, ...] = (6, 12, 24, 48),
        window: int = 12,
        mlp_ratio: float = 4.0,
        inner: int = 64,
        branch: int = 256,
        image_inner: int = 64,
        kernels: tuple[int, ...] = (1, 3, 7),
        image_at_coarsest: bool = True,
        gates: tuple[int, ...] = (4, 3, 2),
        patch_order: PatchOrder = "channel_first",
    ) -> None:
        super().__init__()
        self.patch_order = patch_order
        self.bb = SwinTransformer(
            dim=dim, depths=depths, heads=heads, window=window, mlp_ratio=mlp_ratio
        )
        # Each map is joined with that of the half-size picture: twice the channels.
        c1, c2, c3, c4 = (2 * dim * 2**level for level in range(4))
        widths = Widths((c4, c3, c2, c1), inner, branch, image_inner, kernels)
        self.squeeze_module = nn.Sequential(DecoderBlock(c4 + c3 + c2 + c1, c4, widths))
        self.decoder = Decoder(widths, image_at_coarsest=image_at_coarsest, gates=gates)

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return the coarsest map, squeezed, then three finer maps of the picture, and three of the
        picture at half its size.
        """
        height, width = image.shape[-2:]
        half = self.bb(resize(image, (height // 2, width // 2)))
        full = self.bb(image)
        size = full[-1].shape[-2:]
        parts: list[Tensor] = []
        for fine, coarse in zip(full, half, strict=True):
            parts += [resize(fine, size), resize(resize(coarse, fine.shape[-2:]), size)]
        squeezed = self.squeeze_module([torch.cat(parts, 1)])
        return squeezed, full[:-1], half[:-1]

    def forward(self, image: Tensor) -> Tensor | TrainingOutput:
        height, width = image.shape[-2:]
        if height % 32 or width % 32:
            raise BadInput("height and width must be multiples of 32", f"{width}×{height}")
        squeezed, full, half = self.encode(image)
        return self.decoder(image, squeezed, full, half, self.patch_order)
