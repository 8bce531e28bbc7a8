"""Write the characters of a picture to files: masks, mattes, cutouts, what is left, numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Literal

import torch
from torch import Tensor

from ..characters.overlay import draw_instances
from ..errors import BadInput
from ..flow import ForegroundOptions
from ..imaging import Picture
from ..instances import Instances, Order
from ..matting import Matting
from ..ops.compositing import on_white
from ..ops.morphology import dilate
from ..ops.regions import connected_components, crop, expand_box
from ..segmentation.asking import DEFAULTS, SegmentOptions
from ..segmentation.instance_segmenter import InstanceSegmenter
from ..segmentation.sharing import ShareOptions, share_matte
from .coco import to_annotations
from .publishing import Part
from .report import NO_CHARACTER
from .writing import NO_METADATA, encode

Kind = Literal["masks", "mattes", "cutouts", "background", "overlay", "coco"]

_LEAST = 0.5 / 255  # alpha that is more than 0 in 8 bit
_VISIBLE = 0.05  # alpha that a crop keeps: less is haze, and spreads far
_RIM_PX = 2
_REACH = 1 / 120  # of the longer side: 6 of the 720 pixels that refiners see


@dataclass(frozen=True)
class Characters:
    """What was found in one picture, in the order of its numbers.

    `mattes`: the same characters with their parts of the matte; `colours` 1×3×H×W: what cutouts
    show. Both are None if they were not asked for.
    """

    instances: Instances
    mattes: Instances | None = None
    colours: Tensor | None = None


@dataclass(frozen=True)
class FindOptions:
    """Which characters are written, and in which order they are numbered. `foreground`: see
    Matting.matte.

    `limit`: how many of the best ones are kept. This happens after the matte was shared out among
    all that `segment` lets through, so that what belongs to the others does not become part of
    those. `trust_masks`: see `trusting_masks`.
    """

    segment: SegmentOptions = DEFAULTS
    limit: int = 100
    order: Order = "left-right"
    foreground: ForegroundOptions | None = None
    trust_masks: bool = False


def trusting_masks(size_hw: tuple[int, int]) -> ShareOptions:
    """Make options for masks that are better than the matte.

    What they hold is opaque. What is far from all of them belongs to nobody, so that the parts do
    not sum up to the whole matte any more.
    """
    return ShareOptions(trust_masks=True, reach_px=_REACH * max(size_hw))


def finding(
    segmenter: InstanceSegmenter, matting: Matting | None, options: FindOptions
) -> Callable[[Picture], Characters]:
    """Make a function from picture to characters; without `matting` they get masks only.

    Colours are estimated once, on the whole picture, whose own alpha bounds the mattes.
    """

    def find(picture: Picture) -> Characters:
        found = segmenter(picture, options.segment)
        numbered = found[: options.limit].ranking(options.order)
        if matting is None:
            return Characters(found[numbered])
        if not len(found):
            return Characters(found, found, picture.image)
        matte = matting(picture, foreground=options.foreground)
        sharing = trusting_masks(found.size_hw) if options.trust_masks else ShareOptions()
        mattes = share_matte(matte.alpha, found, on_white(matte.image, picture.alpha), sharing)
        return Characters(found[numbered], mattes[numbered], matte.colours)

    return find


@dataclass(frozen=True)
class InstanceFiles:
    """Names the files of each character of a picture: `girl.instance00.mask.png` and so on.

    `crop_px`: cutouts end at their character, with that many pixels around it; None: they are as
    large as the picture. Mattes and cutouts have 16 bits a channel where the picture has.
    """

    save: frozenset[Kind]
    crop_px: int | None = None
    keep_metadata: bool = True

    def __post_init__(self) -> None:
        if self.crop_px is not None and self.crop_px < 0:
            raise BadInput("the margin of cropped cutouts must be 0 or more", str(self.crop_px))

    @property
    def needs_matte(self) -> bool:
        """Tell whether masks are not enough."""
        return bool(self.save & {"mattes", "cutouts"})

    def suffixes(self) -> tuple[str, ...]:
        """List the endings of the first character's files, of the background and of the overlay."""
        kinds = [kind for kind in ("mask", "matte", "cutout") if f"{kind}s" in self.save]
        whole = [f".{kind}.png" for kind in ("background", "overlay") if kind in self.save]
        return (*(_suffix(0, kind) for kind in kinds), *whole)

    def parts(self, made: Characters, picture: Picture) -> list[Part]:
        """Return a file for each character and kind; it is computed when it is written."""
        parts: list[Part] = []
        for index in range(len(made.instances)):
            if "masks" in self.save:
                parts.append(Part(_suffix(index, "mask"), partial(_write_mask, made, index)))
            if "mattes" in self.save and made.mattes is not None:
                write = partial(_write_matte, made.mattes, index, picture.bits)
                parts.append(Part(_suffix(index, "matte"), write))
            if "cutouts" in self.save and made.mattes is not None:
                write = partial(self._write_cutout, made, index, picture)
                parts.append(Part(_suffix(index, "cutout"), write))
        if "background" in self.save:
            write = partial(_write_background, made, picture.bits)
            parts.append(Part(".background.png", write))
        if "overlay" in self.save:
            parts.append(Part(".overlay.png", partial(_write_overlay, made, picture)))
        return parts

    def join(self) -> None:
        """Each frame of an animation has files of its own."""
        return None

    def notes(self, made: Characters) -> list[str]:
        """Say where there is nothing to number."""
        return [] if len(made.instances) else [NO_CHARACTER]

    def details(self, made: Characters) -> dict[str, Any]:
        """Return size and annotations, as `coco.dataset` takes them, and where the
        masks are from.
        """
        return {
            "size_hw": list(made.instances.size_hw),
            "origin": made.instances.origin,
            "annotations": to_annotations(made.instances),
        }

    def _write_cutout(
        self, made: Characters, index: int, picture: Picture, stream: IO[bytes]
    ) -> list[str]:
        assert made.mattes is not None
        assert made.colours is not None
        alpha = made.mattes.masks[index][None, None]
        box = [0, 0, alpha.shape[-1], alpha.shape[-2]]
        if self.crop_px is not None and bool((alpha > _VISIBLE).any()):
            tight = _visible_box(alpha, made.instances.masks[index])
            box = expand_box(tight, self.crop_px, made.instances.size_hw)
        alpha = crop(alpha, box)
        # nobody else is hidden under transparency; a rim is left for those who scale the cutout
        colours = crop(made.colours, box) * dilate(alpha > _LEAST, _RIM_PX)
        encode(
            stream, colours, alpha, bits=_bits(picture.bits),
            metadata=picture.metadata if self.keep_metadata else NO_METADATA,
        )  # fmt: skip
        return []


def _visible_box(alpha: Tensor, mask: Tensor) -> list[int]:
    """Draw a box around what is visible of 1×1×H×W and in one piece with the mask H×W.

    A speck elsewhere, which no other character took, makes no crop larger. If the mask misses all
    of it, the box is around everything that is visible.
    """
    pieces = connected_components(alpha > _VISIBLE)
    touched = pieces.labels[mask > 0.5].unique()
    touched = touched[touched > 0].to(torch.int64)
    boxes = pieces.boxes_xyxy[touched - 1] if len(touched) else pieces.boxes_xyxy
    return [*boxes[:, :2].amin(0).tolist(), *boxes[:, 2:].amax(0).tolist()]


def _suffix(index: int, kind: str) -> str:
    return f".instance{index:02d}.{kind}.png"


def _bits(of_picture: int) -> int:
    return 16 if of_picture > 8 else 8


def _write_mask(made: Characters, index: int, stream: IO[bytes]) -> list[str]:
    mask = made.instances.masks[index][None, None]
    encode(stream, mask.to(torch.float32), bits=1 if mask.dtype == torch.bool else 8)
    return []


def _write_matte(mattes: Instances, index: int, bits: int, stream: IO[bytes]) -> list[str]:
    encode(stream, mattes.masks[index][None, None], bits=_bits(bits))
    return []


def _write_background(made: Characters, bits: int, stream: IO[bytes]) -> list[str]:
    """Write a mask of what belongs to nobody: by the mattes where there are some."""
    instances = made.mattes or made.instances
    depth = 1 if instances.masks.dtype == torch.bool else _bits(bits)
    encode(stream, instances.background().to(torch.float32), bits=depth)
    return []


def _write_overlay(made: Characters, picture: Picture, stream: IO[bytes]) -> list[str]:
    encode(stream, draw_instances(on_white(picture.image, picture.alpha), made.instances))
    return []
