"""RTMDet-Ins (C. Lyu and others: RTMDet, arXiv:2212.07784), one-stage instance segmentation."""

from __future__ import annotations

from torch import Tensor, nn

from .cspnext import CSPNeXt
from .head import InstanceHead, RawDetections
from .pafpn import CSPNeXtPAFPN


class RTMDetIns(nn.Module):
    """B×3×H×W, RGB, normalised → what every cell detects. H and W are multiples of 32.

    The published networks were trained on BGR: the channels are turned around here.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512, 1024),
        depths: tuple[int, ...] = (3, 6, 6, 3),
        neck_channels: int = 256,
        neck_blocks: int = 3,
        channels: int = 256,
        classes: int = 1,
        depth: int = 2,
        kernel_length: int = 169,
        prototypes: int = 8,
        mask_channels: int = 256,
        mask_depth: int = 4,
        shared_convs: bool = True,
        shared_towers: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.backbone = CSPNeXt(widths=widths, depths=depths, eps=eps)
        self.neck = CSPNeXtPAFPN(
            widths=(widths[2], widths[3], widths[4]),
            channels_out=neck_channels,
            blocks=neck_blocks,
            eps=eps,
        )
        self.bbox_head = InstanceHead(
            neck_channels,
            channels,
            classes=classes,
            depth=depth,
            kernel_length=kernel_length,
            prototypes=prototypes,
            mask_channels=mask_channels,
            mask_depth=mask_depth,
            shared_convs=shared_convs,
            shared_towers=shared_towers,
            eps=eps,
        )

    def forward(self, image: Tensor) -> RawDetections:
        return self.bbox_head(self.neck(self.backbone(image.flip(1))))
