"""Coarse masks of characters → masks that follow the drawing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from .errors import BadInput
from .host import Host
from .imaging import reverse_colours
from .loading import LoadedNetwork
from .ops.eight_bit import resize_eight_bit
from .ops.regions import expand_box

Area = Literal["picture", "box"]

_PER_STEP = 4
_MARGIN = 0.25  # of the box' longer side, around it


class Refiner:
    """An IS-Net that sees a picture and a coarse mask (Instance-guided Cartoon Editing, 3.2)."""

    def __init__(self, loaded: LoadedNetwork, host: Host) -> None:
        self.loaded = loaded
        self.host = host

    def refine(
        self,
        image: Tensor,
        masks: Tensor,
        boxes_xyxy: Tensor,
        *,
        area: Area = "picture",
        label: str = "refining",
    ) -> Tensor:
        """1×3×H×W in [0, 1], N×H×W and N×4 → soft masks N×H×W in [0, 1].

        `area`: the network sees the whole picture, as it was trained, or the surroundings of the
        "box", which keeps more detail where pictures are large.
        """
        if area not in ("picture", "box"):
            raise BadInput('area must be "picture" or "box"', repr(area))
        refined = torch.zeros(masks.shape, dtype=torch.float32)
        boxes = [_surroundings(box, image, area) for box in boxes_xyxy.tolist()]
        side = self.loaded.input_size_hw[0]
        memory = side * side * self.loaded.architecture.bytes_per_pixel * _PER_STEP
        with (
            self.host.progress(len(masks), label) as report,
            self.host.on_device(self.loaded.network, memory) as device,
        ):
            for start in range(0, len(masks), _PER_STEP):
                chosen = range(start, min(start + _PER_STEP, len(masks)))
                pieces = [_piece(image, masks[i : i + 1, None], boxes[i], side) for i in chosen]
                alphas = self._alphas(torch.cat([_pad(piece, side) for piece in pieces]), device)
                for index, alpha, piece in zip(chosen, alphas, pieces, strict=True):
                    left, top, right, bottom = boxes[index]
                    height, width = piece.shape[-2:]
                    refined[index, top:bottom, left:right] = functional.interpolate(
                        alpha[None, :, :height, :width],
                        size=(bottom - top, right - left),
                        mode="bilinear",
                        align_corners=True,
                    )[0, 0]
                report(len(pieces))
        return refined

    @torch.inference_mode()
    def _alphas(self, batch: Tensor, device: torch.device) -> Tensor:
        logits = self.loaded.network(batch.to(device, self.loaded.dtype))
        return logits.to(torch.float32).sigmoid().cpu()


def keep_foreground(masks: Tensor, alpha: Tensor, min_left: float = 0.3) -> Tensor:
    """N×H×W bool and a matte 1×1×H×W → the masks where the matte is above one half.

    A mask of which no more than `min_left` would be left stays as it is: the matte missed it.
    """
    foreground = alpha[0, 0].to(masks.device) > 0.5
    kept = masks.clone()
    for mask in kept:
        inside = mask & foreground
        if int(inside.sum()) > min_left * int(mask.sum()):
            mask.copy_(inside)
    return kept


def _surroundings(box: list[int], image: Tensor, area: Area) -> list[int]:
    height, width = int(image.shape[-2]), int(image.shape[-1])
    if area == "picture":
        return [0, 0, width, height]
    longer = max(box[2] - box[0], box[3] - box[1])
    return expand_box(box, max(round(longer * _MARGIN), 1), (height, width))


def _piece(image: Tensor, mask: Tensor, box: list[int], side: int) -> Tensor:
    """1×4×h×w: blue, green, red and the mask within the box, reduced to fit the side."""
    left, top, right, bottom = box
    picture = image[..., top:bottom, left:right]
    mask = mask[..., top:bottom, left:right].to(picture)
    height, width = bottom - top, right - left
    if max(height, width) > side:
        ratio = side / max(height, width)
        size = (max(round(height * ratio), 1), max(round(width * ratio), 1))
        picture = resize_eight_bit(picture, size)
        mask = functional.interpolate(mask, size=size, mode="bilinear", align_corners=False)
    return torch.cat((reverse_colours(picture), mask), 1)


def _pad(piece: Tensor, side: int) -> Tensor:
    return functional.pad(piece, (0, side - piece.shape[-1], 0, side - piece.shape[-2]))
