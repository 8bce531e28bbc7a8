"""Every character of a picture by itself: for the tab and for the API."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from PIL.Image import Image
from torch import Tensor

from ..toonout_core import (
    WEIGHTS,
    BadInput,
    Instances,
    Matte,
    SegmentOptions,
    load_segmenter,
)
from ..toonout_core.characters.choosing import Choice, choose
from ..toonout_core.characters.overlay import draw_instances
from ..toonout_core.chosen import foreground_options
from ..toonout_core.imaging import Picture, read, to_pil
from ..toonout_core.layers.building import character_layers
from ..toonout_core.layers.files import layer_part
from ..toonout_core.ops.regions import boxes_from_masks, crop, expand_box
from ..toonout_core.options.characters import MAX_COUNT, MIN_SCORE
from ..toonout_core.output.instance_files import (
    Characters,
    FindOptions,
    InstanceFiles,
    Kind,
    finding,
)
from ..toonout_core.output.publishing import Part
from ..toonout_core.portions import memory_for
from ..toonout_core.weights import DETECTOR, REGIONS, detectors
from . import hosts, keeping_alpha
from .cutting import SUBJECT
from .host import WebUIHost
from .options import CutoutOptions
from .pipelines import PIPELINES, fetch, precision_of

DEFAULT_DETECTOR = DETECTOR
REFINER = "anime-refiner"  # what the core puts behind a detector

_lock = threading.RLock()
_kept: dict[tuple[str, str], Any] = {}  # one: the detector that was used last


def detector_names() -> list[str]:
    """What needs no download first; detectors; matting models."""
    return [
        *detectors(),
        *(row.name for row in WEIGHTS if row.task == "matting" and not row.embedded),
    ]


@dataclass(frozen=True)
class Found:
    """Characters of one picture, numbered from 0 on."""

    picture: Picture
    characters: Characters
    detector: str

    def __len__(self) -> int:
        return len(self.instances)

    @property
    def instances(self) -> Instances:
        """By their parts of the matte where there is one."""
        return self.characters.mattes or self.characters.instances

    def overlay(self) -> Tensor:
        """1×3×H×W: the picture with numbered masks and boxes."""
        return draw_instances(self.picture.image, self.characters.instances)

    def overlay_picture(self) -> Image:
        """The same for the page."""
        return to_pil(self.overlay())

    def alpha(self, indices: list[int]) -> Tensor:
        """1×1×H×W: what these characters cover together."""
        size_hw = self.instances.size_hw
        if not indices:
            return self.picture.image.new_zeros((1, 1, *size_hw))
        chosen = self.instances[indices].masks.to(self.picture.image.dtype)
        return chosen.sum(0, keepdim=True)[None].clamp(0, 1)

    def background(self) -> Tensor:
        """1×1×H×W: what belongs to none of them."""
        return self.instances.background().to(self.picture.image.dtype)

    def matte(self, indices: list[int], margin_px: int | None = None) -> Matte:
        """These characters; with a margin, cropped to them."""
        colours = self.characters.colours
        alpha = self.alpha(indices)
        image = self.picture.image
        if margin_px is not None and bool((alpha > SUBJECT).any()):
            tight = boxes_from_masks(alpha[0] > SUBJECT)[0].tolist()
            box = expand_box(tight, margin_px, self.instances.size_hw)
            alpha, image = crop(alpha, box), crop(image, box)
            colours = None if colours is None else crop(colours, box)
        if colours is None:
            return Matte(image, alpha)
        return Matte(image, alpha, colours * (alpha > 0).to(colours))

    def cutout(self, indices: list[int], margin_px: int | None = None) -> Image:
        """RGBA of these characters."""
        return keeping_alpha.mark(self.matte(indices, margin_px).cutout())

    def mask(self, indices: list[int]) -> Image:
        """Their mask, RGB."""
        return keeping_alpha.mark_mask(to_pil(self.alpha(indices)))

    def parts(self, indices: list[int], kinds: frozenset[Kind], margin_px: int) -> list[Part]:
        """Files of these characters, under the numbers that the overlay shows."""
        made = InstanceFiles(kinds, crop_px=margin_px).parts(self.characters, self.picture)
        meant = (*(f".instance{index:02d}." for index in indices), ".background", ".overlay")
        return [part for part in made if part.suffix.startswith(meant)]

    def layered(self, indices: list[int]) -> Part:
        """A PSD with a layer for each of these characters, who keep their numbers."""
        chosen = self.instances[indices].with_tags([f"character {index}" for index in indices])
        picture = self.picture
        colours = self.characters.colours
        layers = character_layers(
            picture.image, chosen, picture.image if colours is None else colours,
            alpha=picture.alpha,
        )  # fmt: skip
        return layer_part(layers, ".psd")

    def choose(self, numbers: str) -> list[int]:
        """Text such as "0, 2-4" → indices; empty: all. Raises BadInput."""
        tagged = self.instances.with_tags([str(index) for index in range(len(self))])
        chosen, _ = choose(tagged, Choice(numbers=numbers))
        return [int(tag) for tag in chosen.tags or ()]


def find(
    source: Any,
    detector: str,
    options: CutoutOptions,
    *,
    min_score: float = MIN_SCORE.default,
    limit: int = MAX_COUNT.default,
) -> Found:
    """A picture → its characters, from left to right. Raises ToonOutError."""
    if detector not in detector_names():
        raise BadInput(f"detector must be one of {', '.join(detector_names())}", repr(detector))
    picture = source if isinstance(source, Picture) else read(source)
    wanted = FindOptions(
        segment=SegmentOptions(min_score=min_score, limit=limit),
        limit=limit,
        foreground=foreground_options(vars(options)),
    )
    with PIPELINES.keeping(), memory_for(WebUIHost(), "this picture"):
        matting = PIPELINES.get(options)
        work = finding(_segmenter(detector, options), matting, wanted)
        return Found(picture, work(picture), detector)


def forget() -> None:
    """Give the detectors' memory back."""
    with _lock:
        _kept.clear()


def _segmenter(detector: str, options: CutoutOptions) -> Any:
    """Shares its network with the model of the edges, if that is the same."""
    row = next(row for row in WEIGHTS if row.name == detector.removesuffix(REGIONS))
    precision = precision_of(options)
    key = (detector, precision)
    with _lock:
        if key not in _kept:
            _kept.clear()
            host = WebUIHost()
            for name in (row.name, REFINER) if row.task == "instances" else (row.name,):
                fetch(name, host, options.allow_download)
            with hosts.building_networks():
                _kept[key] = load_segmenter(
                    detector, host=host, precision=precision, download=False
                )
        return _kept[key]


PIPELINES.also_forget(forget)
