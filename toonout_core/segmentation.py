"""Pictures in, characters out: letterbox, detector, masks of the picture's size, refinement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.ops import box_iou

from .errors import BadInput, ToonOutError
from .finding import Found, find, is_centred, mask_on_picture, tested_side_px
from .host import Host, LocalHost
from .imaging import Picture, PixelSource, read, to_levels
from .instances import Instances
from .loading import LoadedNetwork, Precision, load_network
from .matting import Matting
from .ops.compositing import over
from .ops.letterbox import boxes_to_picture, letterbox
from .ops.resizing import Fitted
from .refining import Area, Refiner, keep_foreground

_PROMPT_SCORE = 0.05  # score of the worst cells that prompts choose from


@dataclass(frozen=True)
class SegmentOptions:
    """What counts as a character, and how its mask is made.

    `min_score`: of the detector. `max_iou`: of two boxes that are two characters. `limit`: best
    ones kept. `soft`: masks in [0, 1] instead of bool. `mask_threshold`: where a coarse mask
    begins; `refined_threshold`: a refined one. `area`: what the refiner sees at a time.
    `side_px`: of the square that the detector sees, instead of its own.
    `reference_quirks`: masks and boxes with the defects of the published program, for comparison.
    """

    min_score: float = 0.3
    max_iou: float = 0.6
    limit: int = 100
    soft: bool = False
    mask_threshold: float = 0.5
    refined_threshold: float = 0.3
    area: Area = "picture"
    side_px: int | None = None
    reference_quirks: bool = False


def load_segmenter(
    detector: str | Path = "anime-instances",
    refiner: str | Path | None = "anime-refiner",
    *,
    host: Host | None = None,
    precision: Precision = "auto",
    download: bool = True,
) -> Segmenter:
    """A segmentation pipeline from names of the weights table or any weight files.

    `refiner`: an IS-Net that sharpens masks, a matting model whose foreground they are cut to, or
    None for the detector's coarse masks. Raises UnknownModel, CorruptWeights, DownloadFailed.
    """
    host = host if host is not None else LocalHost()
    loaded = load_network(detector, host, task="instances", precision=precision, download=download)
    if refiner is None or refiner == "none":
        return Segmenter(loaded, host)
    second = load_network(refiner, host, task=None, precision=precision, download=download)
    if second.architecture.task == "refine":
        return Segmenter(loaded, host, Refiner(second, host))
    if second.architecture.task == "matting":
        return Segmenter(loaded, host, Matting(second, host))
    raise BadInput("the refiner must be a refiner or a matting model", second.name)


class Segmenter:
    """Calls a detector and a refiner on pictures of any size; holds no picture between calls."""

    def __init__(
        self, loaded: LoadedNetwork, host: Host, refiner: Refiner | Matting | None = None
    ) -> None:
        self.loaded = loaded
        self.host = host
        self.refiner = refiner

    @property
    def name(self) -> str:
        return self.loaded.name

    def __call__(
        self, source: PixelSource | Picture, options: SegmentOptions = SegmentOptions()
    ) -> Instances:
        """A path, open file, PIL picture or Picture → its characters, best first.

        Behind a picture that is itself transparent the networks see white.
        """
        picture = source if isinstance(source, Picture) else read(source)
        image = picture.image
        if picture.alpha is not None:
            image = over(image, picture.alpha, torch.ones_like(image))
        return self.segment(image, options)[0]

    def segment(
        self,
        image: Tensor,
        options: SegmentOptions = SegmentOptions(),
        *,
        label: str = "instances",
    ) -> list[Instances]:
        """B×3×H×W in [0, 1] → the characters of every frame, best first, on the CPU."""
        _check(image)
        results: list[Instances] = []
        with self.host.progress(len(image), label) as report:
            for frame in image.split(1):
                found = self._find(frame, options)
                refined = self._refine(frame, found, options)
                results.append(refined if options.reference_quirks else _without_empty(refined))
                report(1)
        return results

    def segment_boxes(
        self,
        image: Tensor,
        boxes_xyxy: Tensor,
        options: SegmentOptions = SegmentOptions(),
        *,
        min_iou: float = 0.5,
    ) -> Instances:
        """1×3×H×W and N×4 in pixels → one character for each box, in the order of the boxes.

        That is the one whose box overlaps the given one most; where none does by `min_iou` (with
        `reference_quirks`: never), the box itself is the coarse mask, and its score 0.
        """
        _check(image)
        if boxes_xyxy.ndim != 2 or boxes_xyxy.shape[1] != 4 or len(image) != 1:
            raise BadInput(
                "boxes must be N×4, for one picture",
                f"{tuple(boxes_xyxy.shape)} for {len(image)} pictures",
            )
        return self._refine(image, self._match(image, boxes_xyxy, options, min_iou), options)

    # ------------------------------------------------------------ the detector

    def _canvas(
        self, frame: Tensor, options: SegmentOptions, device: torch.device
    ) -> tuple[Tensor, Fitted]:
        side = self._side_px(options)
        canvas, fitted = letterbox(frame, side, centre=is_centred(self.loaded.network))
        # in whole levels, as in training: not an ulp is lost
        levels = to_levels(canvas).to(torch.float32)
        mean = levels.new_tensor([255 * value for value in self.loaded.mean]).view(1, 3, 1, 1)
        std = levels.new_tensor([255 * value for value in self.loaded.std]).view(1, 3, 1, 1)
        return ((levels - mean) / std).to(device, self.loaded.dtype), fitted

    def _side_px(self, options: SegmentOptions) -> int:
        """As asked for, else as its file says, else as usual."""
        own = tested_side_px(self.loaded.network) or self.loaded.input_size_hw[0]
        unit = self.loaded.architecture.multiple_of
        return -(-(options.side_px or own) // unit) * unit

    def _working_memory(self, frame: Tensor, options: SegmentOptions) -> int:
        """Bytes beside the weights: the network's, then three maps of the picture's size."""
        side = self._side_px(options)
        network = side * side * self.loaded.architecture.bytes_per_pixel
        return network + 3 * 4 * int(frame.shape[-2] * frame.shape[-1])

    @contextmanager
    def _asked(
        self, frame: Tensor, options: SegmentOptions, *, prompted: bool = False
    ) -> Iterator[tuple[Found, Fitted]]:
        """What the detector finds, on its device."""
        memory = self._working_memory(frame, options)
        try:
            with self.host.on_device(self.loaded.network, memory) as device:
                canvas, fitted = self._canvas(frame, options, device)
                found = find(
                    self.loaded.network,
                    canvas,
                    min_score=_PROMPT_SCORE if prompted else options.min_score,
                    max_iou=None if prompted else options.max_iou,
                    limit=None if prompted else options.limit,
                )
                yield found, fitted
        except torch.cuda.OutOfMemoryError as error:
            raise ToonOutError(
                f"{self.name} needs about {memory / 2**30:.1f} GiB beside its weights, but the "
                "device has less. Make the picture smaller or run on the CPU."
            ) from error

    def _find(self, frame: Tensor, options: SegmentOptions) -> Instances:
        quirks = options.reference_quirks
        kept: list[int] = []
        masks: Tensor | None = None
        with self._asked(frame, options) as (found, fitted):
            for index in range(len(found)):
                alpha = mask_on_picture(found, index, fitted, as_published=quirks)
                if alpha is None or not (quirks or bool((alpha > options.mask_threshold).any())):
                    continue
                if masks is None:
                    masks = _room(len(found), alpha, options)
                masks[len(kept)] = alpha if options.soft else alpha > options.mask_threshold
                kept.append(index)
            if masks is None:
                return Instances.none(fitted.source_hw)
            scores, boxes = found.scores[kept].cpu(), found.boxes_xyxy[kept]
        if quirks:
            boxes = boxes_to_picture(boxes, fitted).to(torch.int64).cpu()
            return Instances(masks[: len(kept)], boxes, scores)
        return Instances.from_masks(masks[: len(kept)], scores)

    def _match(
        self, frame: Tensor, boxes_xyxy: Tensor, options: SegmentOptions, min_iou: float
    ) -> Instances:
        quirks = options.reference_quirks
        wanted = boxes_xyxy.detach().to("cpu", torch.float32)
        masks = _room(len(wanted), frame[0, 0], options)
        scores, boxes = torch.zeros(len(wanted)), wanted.clone()
        with self._asked(frame, options, prompted=True) as (found, fitted):
            theirs = boxes_to_picture(found.boxes_xyxy, fitted).cpu()
            for index, box in enumerate(wanted):
                overlaps = box_iou(box[None], theirs)[0]
                best = int(overlaps.argmax()) if len(found) else -1
                alpha = None
                if best >= 0 and (quirks or float(overlaps[best]) >= min_iou):
                    alpha = mask_on_picture(found, best, fitted, as_published=quirks, square=True)
                if alpha is None:
                    masks[index] = _filled(box, fitted.source_hw)
                    continue
                masks[index] = alpha if options.soft else alpha > options.mask_threshold
                scores[index], boxes[index] = found.scores[best], theirs[best]
        if quirks:
            return Instances(masks, boxes.to(torch.int64), scores)
        return Instances.from_masks(masks, scores)

    # ------------------------------------------------------------ the refiner

    def _refine(self, frame: Tensor, found: Instances, options: SegmentOptions) -> Instances:
        if self.refiner is None or not len(found):
            return found
        if isinstance(self.refiner, Matting):
            alpha = self.refiner.predict(frame).cpu()
            if options.soft:
                return found.with_masks(torch.minimum(found.masks, alpha[0]))
            return found.with_masks(keep_foreground(found.masks, alpha))
        coarse = found.masks > options.mask_threshold if options.soft else found.masks
        masks = self.refiner.refine(
            frame.cpu(),
            coarse,
            found.boxes_xyxy,
            threshold=None if options.soft else options.refined_threshold,
            area=options.area,
        )
        if options.reference_quirks:
            return Instances(masks, found.boxes_xyxy, found.scores)
        return found.with_masks(masks)


def _check(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 3:
        raise BadInput("image must be B×3×H×W", f"shape {tuple(image.shape)}")


def _without_empty(instances: Instances) -> Instances:
    solid = instances.boxes_xyxy[:, 2] > 0
    return instances if bool(solid.all()) else instances[solid]


def _room(count: int, like: Tensor, options: SegmentOptions) -> Tensor:
    """For so many masks: they are made one at a time, and never copied."""
    dtype = torch.float32 if options.soft else torch.bool
    return torch.zeros((count, *like.shape), dtype=dtype)


def _filled(box_xyxy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """A rectangle, as training gives one as coarse mask in a quarter of the cases."""
    left, top, right, bottom = (max(round(float(edge)), 0) for edge in box_xyxy)
    mask = torch.zeros(size_hw, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask
