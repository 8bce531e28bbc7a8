"""From pictures to characters: a detector's masks, in the picture's size, and their refinement."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..errors import UnknownModel
from ..host import Host, LocalHost
from ..imaging import to_levels
from ..inference import Inference
from ..instances import Instances
from ..loading import LoadedNetwork, share_network
from ..matting import Matting
from ..models.detecting import Detector, Found
from ..ops.letterbox import boxes_to_picture, letterbox, map_to_picture
from ..ops.resizing import Fitted
from ..weights import DETECTOR, REGIONS
from ..weights import find as find_row
from ..words import Precision
from .asking import SegmentOptions, box_as_mask
from .centred import CentreSegmenter, has_centres
from .instance_segmenter import InstanceSegmenter
from .refining import Refiner, load_refiner
from .regional import RegionSegmenter

log = logging.getLogger("toonout")

_PROMPT_SCORE = 0.05  # score of the worst cells that prompts choose from


def load_segmenter(
    detector: str | Path = DETECTOR,
    refiner: str | Path | None = "auto",
    *,
    host: Host | None = None,
    precision: Precision = "auto",
    download: bool = True,
) -> InstanceSegmenter:
    """Load a segmenter from names of the weights table or any weight files.

    `detector`: a detector or a matting model. The built-in "toonout-mini" tells characters apart
    that touch (see `CentreSegmenter`). Of other matting models, and of "toonout-mini-regions", the
    connected regions of the matte are taken (see `RegionSegmenter`). `refiner`: an IS-Net that
    sharpens masks, a matting model whose foreground they are cut to, or None for coarse masks;
    "auto" is "anime-refiner" behind a detector and None behind a matting model. Raises
    UnknownModel, CorruptWeights, DownloadFailed.
    """
    host = host if host is not None else LocalHost()
    detector, regions = split_regions(detector)
    row = find_row(str(detector))
    if regions and (row is None or row.task != "matting"):
        raise UnknownModel(
            f"Only a matting model has regions, but {detector} is none. Give its bare name."
        )
    task = None if row is None or row.task == "matting" else "instances"
    loaded = share_network(detector, host, task=task, precision=precision, download=download)
    matting = loaded.architecture.task == "matting"
    if not matting and loaded.architecture.task != "instances":
        raise UnknownModel(
            "The detector must be a model for instances or for matting, but "
            f"{detector} ({loaded.architecture.id}) is for another task. Choose another."
        )
    if refiner == "auto":
        refiner = None if matting else "anime-refiner"
    second = load_refiner(refiner, host, precision=precision, download=download)
    if matting:
        kind = CentreSegmenter if has_centres(loaded) and not regions else RegionSegmenter
        return kind(Matting(loaded, host), second)
    return Segmenter(loaded, host, second)


def split_regions(detector: str | Path) -> tuple[str | Path, bool]:
    """Split a name into the model's, and whether it asks for the connected regions of its matte."""
    base = str(detector).removesuffix(REGIONS)
    if base != str(detector) and find_row(base) is not None:
        return base, True
    return detector, False


class Segmenter(InstanceSegmenter):
    """Asks a detector for characters, and a refiner for better masks."""

    def __init__(
        self, loaded: LoadedNetwork, host: Host, refiner: Refiner | Matting | None = None
    ) -> None:
        super().__init__(host, refiner)
        self.inference = Inference(loaded, host)

    @property
    def loaded(self) -> LoadedNetwork:
        """The detector and what it wants to be fed."""
        return self.inference.loaded

    @property
    def name(self) -> str:
        return self.loaded.name

    @property
    def _detector(self) -> Detector:
        return cast("Detector", self.loaded.network)

    def _find(self, frame: Tensor, options: SegmentOptions) -> Instances:
        return self._ask(frame, options, partial(self._all, options))

    def _at_boxes(
        self, image: Tensor, boxes_xyxy: Tensor, options: SegmentOptions, min_iou: float
    ) -> Instances:
        def choose(found: Found[Any], fitted: Fitted) -> Instances:
            best = [_best_by_box(box, found, fitted, min_iou) for box in boxes_xyxy]
            return self._chosen(found, fitted, best, boxes_xyxy, options)

        return self._ask(image, options, choose, prompted=True)

    def _at_points(
        self, image: Tensor, points_xy: Tensor, boxes_xyxy: Tensor, options: SegmentOptions
    ) -> Instances:
        def choose(found: Found[Any], fitted: Fitted) -> Instances:
            best = [_best_by_mask(xy, found, fitted, options) for xy in points_xy.tolist()]
            return self._chosen(found, fitted, best, boxes_xyxy, options)

        return self._ask(image, options, choose, prompted=True)

    # ------------------------------------------------------------ the detector

    def _canvas(self, frame: Tensor, options: SegmentOptions) -> tuple[Tensor, Fitted]:
        canvas, fitted = letterbox(frame, self._side_px(options), centre=self._detector.centred)
        # in whole levels of 8 bit, as in training: then no rounding differs
        levels = to_levels(canvas).to(torch.float32)
        return self.loaded.input.normalise(levels, white=255), fitted

    def _side_px(self, options: SegmentOptions) -> int:
        """The side that is asked for, else the one that the file says, else the usual one."""
        own = self._detector.side_px or self.loaded.input.size_hw[0]
        unit = self.loaded.architecture.multiple_of
        return -(-(options.side_px or own) // unit) * unit

    def _working_memory(self, frame: Tensor, options: SegmentOptions) -> int:
        """Return the bytes beside the weights: the network's, then three maps of the
        picture's size.
        """
        side = self._side_px(options)
        network = side * side * self.loaded.architecture.bytes_per_pixel
        return network + 3 * 4 * int(frame.shape[-2] * frame.shape[-1])

    def _ask(
        self,
        frame: Tensor,
        options: SegmentOptions,
        use: Callable[[Found[Any], Fitted], Instances],
        *,
        prompted: bool = False,
    ) -> Instances:
        """Return what `use` makes of what the detector finds; it is called on the
        detector's device.
        """
        results: list[Instances] = []

        def work(_: slice, device: torch.device) -> None:
            canvas, fitted = self._canvas(frame, options)
            found = self.inference.ask(
                lambda network, dtype: cast("Detector", network).detect(
                    canvas.to(device, dtype),
                    min_score=_PROMPT_SCORE if prompted else options.min_score,
                    max_iou=None if prompted else options.max_iou,
                    limit=None if prompted else options.limit,
                ),
                device,
            )
            results.append(use(found[0], fitted))

        self.inference.run(
            1, 1, work, lambda _: self._working_memory(frame, options),
            of=(self._side_px(options), frame.shape[-2:]),
            advice="Make the picture smaller or run on the CPU.",
        )  # fmt: skip
        return results[-1]

    def _all(self, options: SegmentOptions, found: Found[Any], fitted: Fitted) -> Instances:
        masks = self._room(len(found), fitted.source_hw, options)
        kept: list[int] = []
        for index in range(len(found)):
            alpha = mask_on_picture(found, index, fitted)
            if alpha is not None and bool((alpha > options.mask_threshold).any()):
                masks[len(kept)] = self._coarse(alpha, options)
                kept.append(index)
        return Instances.from_masks(masks[: len(kept)], found.scores[kept].cpu(), origin="detector")

    def _chosen(
        self,
        found: Found[Any],
        fitted: Fitted,
        best: list[int],
        boxes_xyxy: Tensor,
        options: SegmentOptions,
    ) -> Instances:
        """Make one character for each prompt: what was found at index `best`, or for −1 the box
        itself.
        """
        masks = self._room(len(best), fitted.source_hw, options)
        scores = torch.zeros(len(best))
        for place, index in enumerate(best):
            alpha = mask_on_picture(found, index, fitted) if index >= 0 else None
            if alpha is None:
                masks[place] = box_as_mask(boxes_xyxy[place], fitted.source_hw)
            else:
                masks[place], scores[place] = self._coarse(alpha, options), found.scores[index]
        return Instances.from_masks(masks, scores)

    def _are_soft(self, options: SegmentOptions) -> bool:
        """Tell whether coarse masks are soft. An IS-Net is shown hard ones, and makes its own soft
        edges.
        """
        return options.soft and not isinstance(self.refiner, Refiner)

    def _coarse(self, alpha: Tensor, options: SegmentOptions) -> Tensor:
        return alpha if self._are_soft(options) else alpha > options.mask_threshold

    def _room(self, count: int, size_hw: tuple[int, int], options: SegmentOptions) -> Tensor:
        """Make room for so many coarse masks: they are made one at a time, and never copied."""
        dtype = torch.float32 if self._are_soft(options) else torch.bool
        return torch.zeros((count, *size_hw), dtype=dtype)


@torch.inference_mode()
def mask_on_picture(found: Found[Any], index: int, fitted: Fitted) -> Tensor | None:
    """Return the soft mask H×W in [0, 1] of the picture, on the CPU; None if the network
    overflowed.
    """
    mask = found.mask(index)
    if not bool(mask.isfinite().all()):
        log.warning("a character was left out, as its mask is not finite: try precision fp32")
        return None
    return found.to_alpha(map_to_picture(mask, fitted)).cpu()


def _best_by_box(box_xyxy: Tensor, found: Found[Any], fitted: Fitted, min_iou: float) -> int:
    """Find the one whose box overlaps most: its index, or −1 where none does by `min_iou`."""
    if not len(found):
        return -1
    from torchvision.ops import box_iou

    overlaps = box_iou(box_xyxy[None], boxes_to_picture(found.boxes_xyxy, fitted).cpu())[0]
    best = int(overlaps.argmax())
    return best if float(overlaps[best]) >= min_iou else -1


def _best_by_mask(
    point_xy: list[float], found: Found[Any], fitted: Fitted, options: SegmentOptions
) -> int:
    """Find the best one whose mask holds the point: its index, or −1 where there is none."""
    from torchvision.ops import nms

    x, y = point_xy
    left, top, right, bottom = boxes_to_picture(found.boxes_xyxy, fitted).cpu().unbind(1)
    around = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).nonzero()[:, 0]
    boxes, scores = found.boxes_xyxy.cpu()[around], found.scores.cpu()[around]
    for index in around[nms(boxes.float(), scores.float(), options.max_iou)].tolist():
        alpha = mask_on_picture(found, index, fitted)
        if alpha is not None and float(alpha[int(y), int(x)]) > options.mask_threshold:
            return index
    return -1
