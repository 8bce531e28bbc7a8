"""Pictures in, characters out: letterbox, detector, masks of the picture's size, refinement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torchvision.ops import box_iou, nms

from ..errors import UnknownModel
from ..host import Host, LocalHost
from ..imaging import Picture, PixelSource, to_levels
from ..inference import Inference
from ..instances import Instances
from ..loading import LoadedNetwork, share_network
from ..matting import Matting
from ..ops.letterbox import boxes_to_picture, letterbox
from ..ops.resizing import Fitted
from ..weights import DETECTOR, REGIONS
from ..weights import find as find_row
from ..words import Precision
from .asking import (
    DEFAULTS,
    InstanceSegmenter,
    SegmentOptions,
    boxes_as_masks,
    boxes_at_points,
    check_boxes,
    check_masks,
    check_points,
    prompted,
    seen,
)
from .centred import CentreSegmenter, has_centres
from .finding import Found, find, is_centred, mask_on_picture, tested_side_px
from .refining import Refiner, load_refiner, refine_instances, segment_frames
from .regional import RegionSegmenter

_PROMPT_SCORE = 0.05  # score of the worst cells that prompts choose from


def load_segmenter(
    detector: str | Path = DETECTOR,
    refiner: str | Path | None = "auto",
    *,
    host: Host | None = None,
    precision: Precision = "auto",
    download: bool = True,
) -> InstanceSegmenter:
    """A segmentation pipeline from names of the weights table or any weight files.

    `detector`: a matting model serves as well. The embedded "toonout-mini" tells characters apart
    (see `CentreSegmenter`); those of others, and of "toonout-mini-regions", are the connected
    regions of the matte (see `RegionSegmenter`).
    `refiner`: an IS-Net that sharpens masks, a matting model whose foreground they are cut to, or
    None for coarse masks; "auto" is "anime-refiner" behind a detector, None behind a matting model.
    Raises UnknownModel, CorruptWeights, DownloadFailed.
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
    """A name and whether it asks for the connected regions of that model's matte."""
    base = str(detector).removesuffix(REGIONS)
    if base != str(detector) and find_row(base) is not None:
        return base, True
    return detector, False


class Segmenter:
    """Calls a detector and a refiner on pictures of any size; holds no picture between calls."""

    def __init__(
        self, loaded: LoadedNetwork, host: Host, refiner: Refiner | Matting | None = None
    ) -> None:
        self.inference = Inference(loaded, host)
        self.host = host
        self.refiner = refiner

    @property
    def loaded(self) -> LoadedNetwork:
        """The detector and what it wants to be fed."""
        return self.inference.loaded

    @property
    def name(self) -> str:
        return self.loaded.name

    def __call__(
        self, source: PixelSource | Picture, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """A path, open file, PIL picture or Picture → its characters, best first.

        Behind a picture that is itself transparent the networks see white.
        """
        return self.segment(seen(source), options)[0]

    def segment(
        self,
        image: Tensor,
        options: SegmentOptions = DEFAULTS,
        *,
        label: str = "instances",
    ) -> list[Instances]:
        """B×3×H×W in [0, 1] → the characters of every frame, best first, on the CPU."""
        return segment_frames(
            image,
            lambda frame: self._find(frame, options),
            options,
            self.refiner,
            self.host,
            label,
        )

    def segment_boxes(
        self,
        image: Tensor,
        boxes_xyxy: Tensor,
        options: SegmentOptions = DEFAULTS,
        *,
        min_iou: float = 0.5,
    ) -> Instances:
        """1×3×H×W and N×4 in pixels → one character for each box, in the order of the boxes.

        That is the one whose box overlaps the given one most; where none does by `min_iou` (with
        `reference_quirks`: never), the box itself is the coarse mask, and its score 0.
        """
        check_boxes(image, boxes_xyxy)
        wanted = boxes_xyxy.detach().to("cpu", torch.float32)
        least = 0.0 if options.reference_quirks else min_iou

        def choose(found: Found, fitted: Fitted) -> Instances:
            best = [_best_by_box(box, found, fitted, least) for box in wanted]
            return self._chosen(found, fitted, best, wanted, options)

        coarse = self._ask(image, options, choose, prompted=True)
        return refine_instances(image, coarse, options, self.refiner)

    def segment_masks(
        self, image: Tensor, masks: Tensor, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """1×3×H×W and N×H×W, bool or [0, 1] → the same masks refined, in their order.

        The detector is not asked; without a refiner they stay as they are. Empty ones stay empty.
        """
        check_masks(image, masks)
        return refine_instances(image, prompted(masks, options), options, self.refiner)

    def segment_points(
        self, image: Tensor, points_xy: Tensor, options: SegmentOptions = DEFAULTS
    ) -> Instances:
        """1×3×H×W and N×2 in pixels → one character for each point, in the order of the points.

        That is the best one whose mask holds the point; where there is none, a small box around
        it is the coarse mask, and its score 0.
        """
        check_points(image, points_xy)
        size_hw = (int(image.shape[-2]), int(image.shape[-1]))
        boxes = boxes_at_points(points_xy, size_hw)

        def choose(found: Found, fitted: Fitted) -> Instances:
            best = [_best_by_mask(xy, found, fitted, options) for xy in points_xy.tolist()]
            return self._chosen(found, fitted, best, boxes.to(torch.float32), options)

        coarse = self._ask(image, options, choose, prompted=True)
        return refine_instances(image, replace(coarse, origin="point"), options, self.refiner)

    # ------------------------------------------------------------ the detector

    def _canvas(self, frame: Tensor, options: SegmentOptions) -> tuple[Tensor, Fitted]:
        side = self._side_px(options)
        canvas, fitted = letterbox(frame, side, centre=is_centred(self.loaded.network))
        # in whole levels, as in training: not an ulp is lost
        levels = to_levels(canvas).to(torch.float32)
        mean = levels.new_tensor([255 * value for value in self.loaded.input.mean]).view(1, 3, 1, 1)
        std = levels.new_tensor([255 * value for value in self.loaded.input.std]).view(1, 3, 1, 1)
        return (levels - mean) / std, fitted

    def _side_px(self, options: SegmentOptions) -> int:
        """As asked for, else as its file says, else as usual."""
        own = tested_side_px(self.loaded.network) or self.loaded.input.size_hw[0]
        unit = self.loaded.architecture.multiple_of
        return -(-(options.side_px or own) // unit) * unit

    def _working_memory(self, frame: Tensor, options: SegmentOptions) -> int:
        """Bytes beside the weights: the network's, then three maps of the picture's size."""
        side = self._side_px(options)
        network = side * side * self.loaded.architecture.bytes_per_pixel
        return network + 3 * 4 * int(frame.shape[-2] * frame.shape[-1])

    def _ask(
        self,
        frame: Tensor,
        options: SegmentOptions,
        use: Callable[[Found, Fitted], Instances],
        *,
        prompted: bool = False,
    ) -> Instances:
        """What `use` makes of what the detector finds, on its device."""
        results: list[Instances] = []

        def work(_: slice, device: torch.device) -> None:
            canvas, fitted = self._canvas(frame, options)
            found = self.inference.ask(
                lambda network, dtype: find(
                    network,
                    canvas.to(device, dtype),
                    min_score=_PROMPT_SCORE if prompted else options.min_score,
                    max_iou=None if prompted else options.max_iou,
                    limit=None if prompted else options.limit,
                ),
                device,
            )
            results.append(use(found, fitted))

        self.inference.run(
            1, 1, work, lambda _: self._working_memory(frame, options),
            of=(self._side_px(options), frame.shape[-2:]),
            advice="Make the picture smaller or run on the CPU.",
        )  # fmt: skip
        return results[-1]

    def _find(self, frame: Tensor, options: SegmentOptions) -> Instances:
        return self._ask(frame, options, partial(self._all, options))

    def _all(self, options: SegmentOptions, found: Found, fitted: Fitted) -> Instances:
        quirks = options.reference_quirks
        kept: list[int] = []
        masks: Tensor | None = None
        for index in range(len(found)):
            alpha = mask_on_picture(found, index, fitted, as_published=quirks)
            if alpha is None or not (quirks or bool((alpha > options.mask_threshold).any())):
                continue
            if masks is None:
                masks = self._room(len(found), (len(alpha), len(alpha[0])), options)
            masks[len(kept)] = self._coarse(alpha, options)
            kept.append(index)
        if masks is None:
            return Instances.none(fitted.source_hw, "detector")
        scores, boxes = found.scores[kept].cpu(), found.boxes_xyxy[kept]
        if quirks:
            boxes = boxes_to_picture(boxes, fitted).to(torch.int64).cpu()
            return Instances(masks[: len(kept)], boxes, scores, origin="detector")
        return Instances.from_masks(masks[: len(kept)], scores, origin="detector")

    def _chosen(
        self,
        found: Found,
        fitted: Fitted,
        best: list[int],
        boxes_xyxy: Tensor,
        options: SegmentOptions,
    ) -> Instances:
        """One for each prompt: what was found at index `best`, or where that is −1 its box."""
        quirks = options.reference_quirks
        masks = self._room(len(best), fitted.source_hw, options)
        scores, boxes = torch.zeros(len(best)), boxes_xyxy.clone()
        theirs = boxes_to_picture(found.boxes_xyxy, fitted).cpu()
        for place, index in enumerate(best):
            alpha = None
            if index >= 0:
                alpha = mask_on_picture(found, index, fitted, as_published=quirks, square=True)
            if alpha is None:
                masks[place] = boxes_as_masks(boxes_xyxy[place : place + 1], fitted.source_hw)[0]
                continue
            masks[place] = self._coarse(alpha, options)
            scores[place], boxes[place] = found.scores[index], theirs[index]
        if quirks:
            return Instances(masks, boxes.to(torch.int64), scores, origin="box")
        return Instances.from_masks(masks, scores, origin="box")

    def _are_soft(self, options: SegmentOptions) -> bool:
        """Whether coarse masks are; an IS-Net is shown hard ones, and makes its own soft edges."""
        return options.soft and not isinstance(self.refiner, Refiner)

    def _coarse(self, alpha: Tensor, options: SegmentOptions) -> Tensor:
        return alpha if self._are_soft(options) else alpha > options.mask_threshold

    def _room(self, count: int, size_hw: tuple[int, int], options: SegmentOptions) -> Tensor:
        """For so many coarse masks: they are made one at a time, and never copied."""
        dtype = torch.float32 if self._are_soft(options) else torch.bool
        return torch.zeros((count, *size_hw), dtype=dtype)


def _best_by_box(box_xyxy: Tensor, found: Found, fitted: Fitted, min_iou: float) -> int:
    """Index of the one whose box overlaps most, −1 where none does by `min_iou`."""
    if not len(found):
        return -1
    overlaps = box_iou(box_xyxy[None], boxes_to_picture(found.boxes_xyxy, fitted).cpu())[0]
    best = int(overlaps.argmax())
    return best if float(overlaps[best]) >= min_iou else -1


def _best_by_mask(
    point_xy: list[float], found: Found, fitted: Fitted, options: SegmentOptions
) -> int:
    """Index of the best one whose mask holds the point, −1 where there is none."""
    x, y = point_xy
    left, top, right, bottom = boxes_to_picture(found.boxes_xyxy, fitted).cpu().unbind(1)
    around = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).nonzero()[:, 0]
    boxes, scores = found.boxes_xyxy.cpu()[around], found.scores.cpu()[around]
    for index in around[nms(boxes.float(), scores.float(), options.max_iou)].tolist():
        alpha = mask_on_picture(found, index, fitted)
        if alpha is not None and float(alpha[int(y), int(x)]) > options.mask_threshold:
            return index
    return -1
