"""What the nodes that make clips have in common: widgets, characters, frames into batches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy_api.latest as api
import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ..toonout_core import ForegroundOptions, Instances, share_matte
from ..toonout_core.errors import BadInput
from ..toonout_core.flow import estimate_colours
from ..toonout_core.imaging import from_comfy, mask_to_comfy, to_comfy
from ..toonout_core.motion.cards import Frame
from ..toonout_core.ops.compositing import on_white
from ..toonout_core.options import clips
from ..toonout_core.options.option import options_of as options_in
from . import made
from .batches import mask_of
from .found import as_frames
from .host import ComfyHost
from .types import widget

ALL, VIDEO_ONLY = clips.KEPT.choices


# ---------------------------------------------------------------- inputs


def option_widgets(record: type[Any]) -> list[Any]:
    """A widget for each option of a record; what is seldom needed comes in later graphs only."""
    return [
        widget(option, optional=option.advanced, advanced=option.advanced)
        for option in options_in(record)
    ]


def keep_widget() -> Any:
    """Whether all frames are handed on."""
    return widget(clips.KEPT, optional=True)


@dataclass(frozen=True)
class Scene:
    """What moves: the `picture` and the `colours` free of its background, 1×3×H×W, the soft parts
    of one matte, and the picture without its characters, if there is one."""

    picture: Tensor
    found: Instances
    colours: Tensor
    plate: Tensor | None


def scene_of(image: Tensor, values: Mapping[str, Any], host: ComfyHost) -> Scene:
    """The scene of an IMAGE and of the inputs instances, mask and background, if connected."""
    if len(image) != 1:
        raise BadInput(
            "image must be one picture", f"{len(image)}", "Take one of them with ImageFromBatch."
        )
    picture = on_white(*from_comfy(image))
    mask = values.get("mask")
    alpha = mask_of(picture, None if mask is None else mask[:1])
    found = _characters(picture, values.get("instances"), alpha, host)
    whole, colours = found.union().to("cpu", torch.float32), picture
    if bool((whole > 0).any()):
        with host.progress(1, "colours") as report:
            colours = estimate_colours(host, picture, whole, ForegroundOptions(), report)
    return Scene(picture, found, colours, _plate(values.get("background"), picture))


def _characters(
    picture: Tensor, instances: Any, alpha: Tensor | None, host: ComfyHost
) -> Instances:
    """Those that are connected, which share the matte if there is one; else the matte is one."""
    size_hw = (int(picture.shape[-2]), int(picture.shape[-1]))
    if instances is None:
        return Instances.none(size_hw) if alpha is None else Instances.from_masks(alpha[0])
    found = as_frames(instances)[0]
    if found.size_hw != size_hw:
        raise BadInput(
            f"instances must be of a picture of {size_hw[1]}×{size_hw[0]}",
            f"{found.size_hw[1]}×{found.size_hw[0]}",
            "Connect the picture in which they were found.",
        )
    if alpha is None or not len(found):
        return found
    return share_matte(alpha, found, picture, host=host)


def _plate(background: Tensor | None, picture: Tensor) -> Tensor | None:
    if background is None:
        return None
    plate = from_comfy(background[:1])[0]
    if plate.shape != picture.shape:
        raise BadInput(
            f"background must have the image's size {picture.shape[-1]}×{picture.shape[-2]}",
            f"{plate.shape[-1]}×{plate.shape[-2]}",
            "Resize it, or inpaint the same picture.",
        )
    return plate


# ---------------------------------------------------------------- outputs


def has_video() -> bool:
    """Whether this host knows VIDEO."""
    return hasattr(io, "Video") and hasattr(api, "InputImpl")


def video_outputs() -> list[Any]:
    """VIDEO, or nothing."""
    return [io.Video.Output(display_name="video", tooltip=made.VIDEO)] if has_video() else []


def clip_result(
    host: ComfyHost, frames: Iterable[Frame], count: int, rate: float, keep: str
) -> dict[str, Any]:
    """`images`, `masks` and `alphas` as batches, and `video`: a list of one, or of none."""
    with host.progress(count, "frames") as report:
        reported = _reported(frames, report)
        if keep == VIDEO_ONLY and has_video():
            return _streamed(reported, rate)
        made = _Batches(count)
        for frame in reported:
            made.add(frame)
    images, masks, alphas = made.result()
    videos: list[Any] = []
    if has_video():
        parts = api.Types.VideoComponents(images=images, frame_rate=_fraction(rate))
        videos = [api.InputImpl.VideoFromComponents(parts)]
    return {"images": images, "masks": masks, "alphas": alphas, "video": videos}


def _reported(frames: Iterable[Frame], report: Any) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        report(1, preview=frame.image[0])


def _shown(frame: Frame) -> Tensor:
    """Colours on black where nothing is: batches and videos are opaque."""
    return frame.image * frame.alpha


class _Batches:
    """Room for all frames, taken once: a list joined at the end would need it twice."""

    def __init__(self, count: int) -> None:
        self._count, self._made = count, 0
        self._images = self._masks = torch.empty(0)
        self._alphas: Tensor | None = None  # opaque as yet

    def add(self, frame: Frame) -> None:
        image, mask = to_comfy(_shown(frame)), mask_to_comfy(frame.mask)
        if not self._made:
            self._images = image.new_zeros((self._count, *image.shape[1:]))
            self._masks = mask.new_zeros((self._count, *mask.shape[1:]))
        if self._alphas is None and bool((frame.alpha < 1).any()):
            self._alphas = torch.ones_like(self._masks)
        self._images[self._made], self._masks[self._made] = image[0], mask[0]
        if self._alphas is not None:
            self._alphas[self._made] = frame.alpha[0, 0]
        self._made += 1

    def result(self) -> tuple[Tensor, Tensor, Tensor]:
        alphas = self._alphas
        if alphas is None:  # one value serves all
            alphas = torch.ones((1, 1, 1)).expand(self._masks.shape)
        return self._images, self._masks, alphas


def _streamed(frames: Iterator[Frame], rate: float) -> dict[str, Any]:
    """One frame in memory at a time; the clip lies in ComfyUI's temporary folder."""
    from ..toonout_core.output.films import write_film

    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    first = _Batches(1)

    def shown() -> Iterator[tuple[Tensor, None]]:
        for number, frame in enumerate(frames):
            if number == 0:
                first.add(frame)
            yield _shown(frame), None

    own = Path(tempfile.mkdtemp(prefix="toonout_", dir=folder))
    path = write_film(own / "clip.mp4", shown(), rate)
    images, masks, alphas = first.result()
    video = api.InputImpl.VideoFromFile(str(path))
    return {"images": images, "masks": masks, "alphas": alphas, "video": [video]}


def _fraction(rate: float) -> Fraction:
    return Fraction(rate).limit_denominator(1001)


def options_of(record: type[Any], values: Mapping[str, Any]) -> Any:
    """The record of what the widgets say."""
    names = {item.name for item in fields(record)}
    return record(**{name: value for name, value in values.items() if name in names})
