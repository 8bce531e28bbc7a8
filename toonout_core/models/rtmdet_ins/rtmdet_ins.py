"""RTMDet-Ins (C. Lyu and others: RTMDet, arXiv:2212.07784), one-stage instance segmentation."""

from __future__ import annotations

from torch import Tensor, nn

from ..folding import laid_out
from .cspnext import CSPNeXt
from .decoding import FoundInstances, decode, suppress, with_area
from .head import InstanceHead, RawDetections
from .pafpn import CSPNeXtPAFPN


class RTMDetIns(nn.Module):
    """B×3×H×W, RGB, normalised → what every cell detects. H and W are multiples of 32.

    The published networks were trained on BGR: the channels are turned around here.
    """

    centred = False
    side_px: int | None = None

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
        turned = laid_out(image.flip(1), training=self.training)
        return self.bbox_head(self.neck(self.backbone(turned)))

    def detect(
        self,
        image: Tensor,
        *,
        min_score: float = 0.05,
        max_iou: float | None = 0.6,
        limit: int | None = 100,
    ) -> list[FoundInstances]:
        """See `Detector`; boxes are clamped to the input."""
        raw = self(image)
        size_hw = (int(image.shape[-2]), int(image.shape[-1]))
        found = []
        for frame in range(len(image)):
            cells = decode(raw, frame, size_hw, min_score=min_score)
            cells = cells[with_area(cells.boxes_xyxy)]
            if max_iou is not None:
                boxes, scores, classes = cells.boxes_xyxy, cells.scores, cells.classes
                cells = cells[suppress(boxes, scores, classes, max_iou=max_iou, limit=limit)]
            found.append(FoundInstances(cells, raw.prototypes[frame], size_hw))
        return found
