"""Make the coarse masks of characters follow the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from ..host import Host
from ..imaging import reverse_colours
from ..inference import Inference
from ..instances import Instances
from ..loading import LoadedNetwork, share_network
from ..matting import Matting
from ..ops.eight_bit import resize_eight_bit
from ..ops.regions import expand_box
from ..words import Precision
from .asking import Area, SegmentOptions

_PER_STEP = 4
_MARGIN = 0.25  # of the box' longer side, around it


class Refiner:
    """Sharpens masks by an IS-Net that sees a picture and a coarse mask.

    Source: Instance-guided Cartoon Editing (arXiv:2312.01943), section 3.2.
    """

    def __init__(self, loaded: LoadedNetwork, host: Host) -> None:
        self.inference = Inference(loaded, host)
        self.host = host

    @property
    def loaded(self) -> LoadedNetwork:
        """The network and what it wants to be fed."""
        return self.inference.loaded

    def refine(
        self,
        image: Tensor,
        masks: Tensor,
        boxes_xyxy: Tensor,
        *,
        threshold: float | None = None,
        area: Area = "picture",
        label: str = "refining",
    ) -> Tensor:
        """1×3×H×W in [0, 1], N×H×W and N×4 → soft masks N×H×W in [0, 1], or bool above `threshold`.

        `area`: the network sees the whole picture, as it was trained, or the surroundings of the
        "box", which keeps more detail where pictures are large.
        """
        if area not in ("picture", "box"):
            raise BadInput('area must be "picture" or "box"', repr(area))
        dtype = torch.float32 if threshold is None else torch.bool
        refined = torch.zeros((len(masks), *image.shape[-2:]), dtype=dtype)
        side = self.loaded.input.size_hw[0]
        views = _views(image, boxes_xyxy, area, side)

        def group(part: slice, device: torch.device) -> None:
            pieces = [view.join(mask) for view, mask in zip(views[part], masks[part], strict=True)]
            alphas = self._alphas(torch.cat(pieces), device)
            for view, alpha, out in zip(views[part], alphas, refined[part], strict=True):
                soft = view.enlarge(alpha)
                view.cut(out).copy_(soft if threshold is None else soft > threshold)
            report(len(pieces))

        def work(part: slice, device: torch.device) -> None:
            for start in range(part.start, part.stop, per_step(device)):
                group(slice(start, min(start + per_step(device), part.stop)), device)

        with self.host.progress(len(masks), label) as report:
            self.inference.run(
                len(masks), _PER_STEP, work, self._working_memory,
                of=side, advice="Run on the CPU.",
            )  # fmt: skip
        return refined

    def _working_memory(self, count: int) -> int:
        """Return the bytes beside the weights."""
        height, width = self.loaded.input.size_hw
        return height * width * self.loaded.architecture.bytes_per_pixel * count

    @torch.inference_mode()
    def _alphas(self, batch: Tensor, device: torch.device) -> Tensor:
        logits = self.inference.ask(lambda network, dtype: network(batch.to(device, dtype)), device)
        return logits.to(torch.float32).sigmoid().cpu()


def per_step(device: torch.device) -> int:
    """Return how many instances the refiner sees at a time. A CPU gains nothing from
    more than one.
    """
    return 1 if device.type == "cpu" else _PER_STEP


def load_refiner(
    name_or_path: str | Path | None, host: Host, *, precision: Precision, download: bool
) -> Refiner | Matting | None:
    """Load an IS-Net that sharpens masks or a matting model that they are cut to; None
    for "none".
    """
    if name_or_path is None or name_or_path == "none":
        return None
    loaded = share_network(name_or_path, host, task=None, precision=precision, download=download)
    if loaded.architecture.task == "refine":
        return Refiner(loaded, host)
    if loaded.architecture.task == "matting":
        return Matting(loaded, host)
    got = f"{name_or_path}, which is {loaded.architecture.id}"
    raise BadInput("the refiner must be a refiner or a matting model", got)


def refine_instances(
    image: Tensor, coarse: Instances, options: SegmentOptions, refiner: Refiner | Matting | None
) -> Instances:
    """Refine the masks of the characters of 1×3×H×W; empty masks stay empty."""
    if refiner is None or not len(coarse):
        return coarse
    if isinstance(refiner, Matting):
        return coarse.with_masks(keep_foreground(coarse.masks, refiner.predict(image).cpu()))
    solid = coarse.masks
    if solid.dtype != torch.bool:
        solid = solid > options.mask_threshold
    masks = refiner.refine(
        image.cpu(),
        solid,
        coarse.boxes_xyxy,
        threshold=None if options.soft else options.refined_threshold,
        area=options.area,
    )
    for mask, shown in zip(masks, solid, strict=True):
        if not bool(shown.any()):
            mask.zero_()
    return coarse.with_masks(masks)


def keep_foreground(masks: Tensor, alpha: Tensor, min_left: float = 0.3) -> Tensor:
    """Cut masks N×H×W to a matte 1×1×H×W: bool masks to where it is above one half.

    A soft mask becomes the smaller of the two. A mask of which no more than `min_left` would be
    left stays as it is: the matte missed it.
    """
    matte = alpha[0, 0].to(masks.device)
    foreground = matte > 0.5 if masks.dtype == torch.bool else matte.to(masks.dtype)
    kept = masks.clone()
    for mask in kept:
        inside = torch.minimum(mask, foreground)
        if float(inside.sum(dtype=torch.float64)) > min_left * float(mask.sum(dtype=torch.float64)):
            mask.copy_(inside)
    return kept


@dataclass(frozen=True)
class _View:
    """What the network sees of a picture: `picture` 1×3×h×w, BGR, is the box reduced to `side`."""

    box_xyxy: tuple[int, int, int, int]
    picture: Tensor
    side: int

    def cut(self, plane: Tensor) -> Tensor:
        """Return the box of …×H×W, not copied."""
        left, top, right, bottom = self.box_xyxy
        return plane[..., top:bottom, left:right]

    def join(self, mask: Tensor) -> Tensor:
        """H×W → 1×4×side×side: the picture and the mask, with zeros to the right and below.

        A mask that is smaller than its picture (as published ones can be, by a pixel) is reduced by
        a ratio of its own, as in the published program.
        """
        inside = self.cut(mask)[None, None].to(torch.float32)
        size = _reduced((int(inside.shape[-2]), int(inside.shape[-1])), self.side)
        if inside.shape[-2:] != size:
            inside = functional.interpolate(inside, size=size, mode="bilinear", align_corners=False)
        return torch.cat((_pad(self.picture, self.side), _pad(inside, self.side)), 1)

    def enlarge(self, alpha: Tensor) -> Tensor:
        """1×side×side → h×w of the box."""
        left, top, right, bottom = self.box_xyxy
        seen = alpha[None, :, : self.picture.shape[-2], : self.picture.shape[-1]]
        return functional.interpolate(
            seen, size=(bottom - top, right - left), mode="bilinear", align_corners=True
        )[0, 0]


def _views(image: Tensor, boxes_xyxy: Tensor, area: Area, side: int) -> list[_View]:
    height, width = int(image.shape[-2]), int(image.shape[-1])
    if area == "picture":
        return [_view(image, (0, 0, width, height), side)] * len(boxes_xyxy)
    views: list[_View] = []
    for box in boxes_xyxy.tolist():
        longer = max(box[2] - box[0], box[3] - box[1])
        left, top, right, bottom = expand_box(box, max(round(longer * _MARGIN), 1), (height, width))
        views.append(_view(image, (left, top, right, bottom), side))
    return views


def _view(image: Tensor, box_xyxy: tuple[int, int, int, int], side: int) -> _View:
    left, top, right, bottom = box_xyxy
    picture = image[..., top:bottom, left:right]
    size = _reduced((bottom - top, right - left), side)
    if picture.shape[-2:] != size:
        picture = resize_eight_bit(picture, size)
    return _View(box_xyxy, reverse_colours(picture), side)


def _reduced(size_hw: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size at which the longer side is at most `side`."""
    height, width = size_hw
    ratio = min(side / max(height, width), 1)
    return max(round(height * ratio), 1), max(round(width * ratio), 1)


def _pad(planes: Tensor, side: int) -> Tensor:
    return functional.pad(planes, (0, side - planes.shape[-1], 0, side - planes.shape[-2]))
