"""YOLOv8 with instance masks: backbone, feature pyramid up and down, head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvNormSiLU, PooledPyramid, SplitBottlenecks
from .head import Candidates, Head
from .selecting import FoundInstances, select


class YoloV8Seg(nn.Module):
    """B×3×H×W RGB in [0, 1], H and W multiples of 32 → Candidates.

    `widths`: channels of the five strides 2 … 32. `depths`: bottlenecks of the backbone's four
    stages. `neck_depth`: of each stage of the pyramid. The other widths are those of the head.
    """

    centred = True
    side_px: int | None = None

    def __init__(
        self,
        *,
        widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 256),
        depths: tuple[int, int, int, int] = (1, 2, 2, 1),
        neck_depth: int = 1,
        classes: int = 1,
        bins: int = 16,
        coefficients: int = 32,
        box_width: int = 64,
        class_width: int = 64,
        mask_width: int = 32,
        prototype_width: int = 64,
    ) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {"0": ConvNormSiLU(3, widths[0], 3, 2)}
        for stage in range(4):
            width, wider = widths[stage], widths[stage + 1]
            layers[str(2 * stage + 1)] = ConvNormSiLU(width, wider, 3, 2)
            layers[str(2 * stage + 2)] = SplitBottlenecks(wider, wider, depths[stage], True)
        fine, middle, coarse = widths[2:]
        layers["9"] = PooledPyramid(coarse)
        layers["12"] = SplitBottlenecks(coarse + middle, middle, neck_depth, False)
        layers["15"] = SplitBottlenecks(middle + fine, fine, neck_depth, False)
        layers["16"] = ConvNormSiLU(fine, fine, 3, 2)
        layers["18"] = SplitBottlenecks(fine + middle, middle, neck_depth, False)
        layers["19"] = ConvNormSiLU(middle, middle, 3, 2)
        layers["21"] = SplitBottlenecks(middle + coarse, coarse, neck_depth, False)
        layers["22"] = Head(
            channels=(fine, middle, coarse),
            classes=classes,
            bins=bins,
            coefficients=coefficients,
            box_width=box_width,
            class_width=class_width,
            mask_width=mask_width,
            prototype_width=prototype_width,
        )
        # the numbers that files name the layers by; those of layers without tensors are left out
        self.model = nn.ModuleDict(layers)

    def forward(self, image: Tensor) -> Candidates:
        return self.model["22"](self.features(image))

    def detect(
        self,
        image: Tensor,
        *,
        min_score: float = 0.25,
        max_iou: float | None = 0.7,
        limit: int | None = 300,
    ) -> list[FoundInstances]:
        """See `Detector`."""
        seen = self(image)
        size_hw = (int(image.shape[-2]), int(image.shape[-1]))
        return [
            FoundInstances(
                select(seen, frame, min_score=min_score, max_iou=max_iou, limit=limit),
                seen.prototypes[frame],
                size_hw,
            )
            for frame in range(len(image))
        ]

    def features(self, image: Tensor) -> list[Tensor]:
        """What the head looks at, at strides 8, 16 and 32."""
        layers = self.model
        x, found = image, dict[str, Tensor]()
        for name in map(str, range(10)):
            x = found[name] = layers[name](x)
        middle = layers["12"](torch.cat((_double(x), found["6"]), 1))
        fine = layers["15"](torch.cat((_double(middle), found["4"]), 1))
        middle = layers["18"](torch.cat((layers["16"](fine), middle), 1))
        coarse = layers["21"](torch.cat((layers["19"](middle), x), 1))
        return [fine, middle, coarse]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
