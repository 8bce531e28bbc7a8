"""What travels on the sockets of models: our pipelines, and models of other loaders."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..toonout_core import Matting, load_matting
from ..toonout_core.errors import BadInput
from ..toonout_core.flow import Asked, MattingFlow, require_numbers
from ..toonout_core.host import Step
from ..toonout_core.imaging import from_comfy, mask_from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.ops.resizing import fit as fit_to
from ..toonout_core.options import models
from ..toonout_core.portions import in_portions
from ..toonout_core.remembering import LastMattes
from .host import ComfyHost

LIMIT_BYTES = 256 << 20  # of the alpha that a model is remembered by: 64 pictures of 1024²


UNCHOSEN_SIZE = 1024  # the default of ComfyUI's Remove Background, which it always hands on


class OwnModel:
    """Our pipeline, in the shape that ComfyUI's Remove Background calls."""

    def __init__(self, matting: Matting, host: ComfyHost) -> None:
        self.matting = matting
        self.host = host
        matting.loaded.mattes.limit_bytes = LIMIT_BYTES

    def encode_image(self, image: Tensor, image_size: int | None = None) -> Tensor:
        """IMAGE B×H×W×C → MASK B×H×W, 1 = character; one frame at a time on the device.

        ComfyUI's node says 1024 where its user chose nothing: then the model's own size is taken.
        """
        picture, own_alpha = from_comfy(image)
        size = None if image_size == UNCHOSEN_SIZE else image_size
        found = self.matting.matte(picture, own_alpha, foreground=None, resolution=size)
        return mask_to_comfy(found.alpha)


class ForeignModel(MattingFlow):
    """A model of another loader, ComfyUI's own for one, run step by step."""

    def __init__(self, model: Any, host: ComfyHost, mattes: LastMattes | None) -> None:
        self.model, self.host, self.mattes = model, host, mattes
        self._making_room = host.making_room

    @property
    def name(self) -> str:
        return type(self.model).__name__

    def answer(self, image: Tensor, asked: Asked, step: Step) -> Tensor:
        side = max(int(image.shape[-2]), int(image.shape[-1]))
        padded = asked.fit == "pad"
        seen, way = fit_to(image, (side, side), "pad") if padded else (image, None)
        options = self._size_option(asked.resolution)
        alpha = image.new_empty((len(image), 1, *image.shape[-2:]), dtype=torch.float32)

        def work(part: slice, _: Any) -> None:
            mask = mask_from_comfy(self.model.encode_image(to_comfy(seen[part]), **options))
            mask = require_numbers(mask, self.name)
            alpha[part] = mask if way is None else way.undo(mask)
            step(len(mask), preview=image[part][-1] * alpha[part][-1])

        in_portions(
            self.host, len(image), asked.frames_per_step, lambda _: self._making_room(), work,
            kind=(id(self.model), seen.shape[-2:], asked.resolution),
            sentence=(
                f"{self.name} needs more memory than the device has for one picture. "
                "Free memory, or run ComfyUI with --cpu."
            ),
        )  # fmt: skip
        return alpha

    def _size_option(self, resolution: int | None) -> dict[str, int]:
        if resolution is None:
            return {}
        accepted = inspect.signature(self.model.encode_image).parameters
        for name in ("image_size", "resolution"):
            if name in accepted:
                return {name: resolution}
        raise BadInput(
            f"resolution must be 0 for {self.name}, whose loader decides it",
            str(resolution),
            "Set it to 0, or load the model with Load Matting Model (ToonOut).",
        )


# of models of other loaders, as long as they live; ours have their own with their network
_mattes: WeakKeyDictionary[Any, LastMattes] = WeakKeyDictionary()


@cache
def built_in() -> OwnModel:
    """The model that is part of this pack; ComfyUI may take it off its device as any other."""
    host = ComfyHost()
    return OwnModel(load_matting(models.MODEL.default, host=host, download=False), host)


def as_model(value: Any, pixels: int) -> MattingFlow:
    """Whatever a loader gives, as something that cuts out; nothing: the built-in model. What it
    says of so many pixels is remembered, so that other radii do not cost its time again."""
    if value is None:
        return built_in().matting
    if isinstance(value, OwnModel):
        return value.matting
    if callable(getattr(value, "encode_image", None)):
        return ForeignModel(value, ComfyHost(), _mattes_of(value, pixels))
    raise BadInput(
        "model must come from a loader of matting models",
        f"a {type(value).__name__}",
        "Connect Load Matting Model (ToonOut), or nothing: then the built-in model is used.",
    )


def _mattes_of(model: Any, pixels: int) -> LastMattes | None:
    if pixels * 4 > LIMIT_BYTES:
        return None
    try:
        return _mattes.setdefault(model, LastMattes(LIMIT_BYTES))
    except TypeError:  # it cannot be watched
        return None


@dataclass(frozen=True)
class LoadedSegmenter:
    """What travels as TOON_SEGMENTER."""

    pipeline: Any
    host: ComfyHost


def as_segmenter(value: Any) -> LoadedSegmenter:
    """The segmenter that was connected."""
    if isinstance(value, LoadedSegmenter):
        return value
    raise BadInput(
        "segmenter must come from Load Character Segmenter (ToonOut)", f"a {type(value).__name__}"
    )
