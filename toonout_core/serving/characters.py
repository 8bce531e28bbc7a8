"""Every character of a picture by itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..characters.choosing import Choice, choose
from ..characters.overlay import draw_instances
from ..chosen import foreground_options
from ..errors import BadInput
from ..imaging import Picture, read
from ..instances import Instances
from ..layers.building import character_layers
from ..layers.files import layer_part
from ..ops.regions import boxes_from_masks, crop, expand_box
from ..options.characters import MAX_COUNT, MIN_SCORE
from ..output.instance_files import (
    Characters,
    FindOptions,
    InstanceFiles,
    Kind,
    finding,
)
from ..output.publishing import Part
from ..portions import memory_for
from ..results import Matte
from ..segmentation.asking import SegmentOptions
from ..segmentation.segmenter import load_segmenter
from ..weights import DETECTOR, REGIONS, WEIGHTS, detectors
from .cutting import SUBJECT
from .options import CutoutOptions
from .pipelines import Pipelines

DEFAULT_DETECTOR = DETECTOR
REFINER = "anime-refiner"  # what the core puts behind a detector


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


class Detectors:
    """Keeps the detector that was used last, as long as `pipelines` keep models."""

    def __init__(self, pipelines: Pipelines) -> None:
        self.pipelines = pipelines
        self._lock = threading.RLock()
        self._kept: dict[tuple[str, str], Any] = {}
        pipelines.also_forget(self.forget)

    def find(
        self,
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
        pipelines = self.pipelines
        with pipelines.keeping(), memory_for(pipelines.program.host(), "this picture"):
            matting = pipelines.get(options)
            work = finding(self.segmenter(detector, options), matting, wanted)
            return Found(picture, work(picture), detector)

    def forget(self) -> None:
        """Give the detector's memory back."""
        with self._lock:
            self._kept.clear()

    def segmenter(self, detector: str, options: CutoutOptions) -> Any:
        """Shares its network with the model of the edges, if that is the same."""
        row = next(row for row in WEIGHTS if row.name == detector.removesuffix(REGIONS))
        precision = self.pipelines.precision_of(options)
        key = (detector, precision)
        with self._lock:
            if key not in self._kept:
                self._kept.clear()
                program = self.pipelines.program
                host = program.host()
                for name in (row.name, REFINER) if row.task == "instances" else (row.name,):
                    self.pipelines.fetch(name, host, options.allow_download)
                with program.building_networks():
                    self._kept[key] = load_segmenter(
                        detector, host=host, precision=precision, download=False
                    )
            return self._kept[key]
