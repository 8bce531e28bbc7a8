"""Take cutouts from chroma-key pictures and clips: one key a clip, without poor and
repeated frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from ..imaging import picture_suffixes
from ..ops.regions import boxes_from_masks, crop, expand_box
from ..output.clip_formats import VIDEO_SUFFIXES
from ..output.clips import frames_of
from .key_colour import Key
from .keying import Keyed, estimate_key, extract
from .options import ClipOptions, KeyOptions

_KEY_FRAMES = 9  # the key is taken from
_THUMBNAIL = 32
_SOLID, _FAINT = 0.5, 0.02


@dataclass(frozen=True)
class KeyedFrame:
    """Frame `number` from 1: what was cut out, or why it was `left_out`.

    `cut_sides`: of L, T, R, B those where the frame cuts the figure. `still`: it is the only frame.
    """

    number: int
    keyed: Keyed | None
    cut_sides: str = ""
    left_out: str = ""
    still: bool = False


def is_clip(path: Path) -> bool:
    """Tell by the ending whether this is a video, or a picture that may be one frame."""
    return path.suffix.lower() in VIDEO_SUFFIXES | picture_suffixes()


def key_frames(path: Path, options: KeyOptions, clip: ClipOptions) -> Iterator[KeyedFrame]:
    """Yield every frame that is looked at, in order.

    Raises BadInput for a file that is no picture and no video, and for one without a screen.
    """
    key = clip_key(path, options)
    frames = frames_of(path)
    first = list(islice(frames, 2))
    last: Tensor | None = None
    for number, frame in enumerate(chain(first, frames), 1):
        if (number - 1) % clip.every:
            continue
        found = _look(number, frame, key, options, clip, last)
        if found.keyed is not None:
            last = thumbnail(found.keyed)
            found = replace(found, keyed=cropped(found.keyed) if clip.crop else found.keyed)
        yield replace(found, still=len(first) == 1)


def _look(
    number: int,
    frame: Tensor,
    key: Key,
    options: KeyOptions,
    clip: ClipOptions,
    last: Tensor | None,
) -> KeyedFrame:
    try:
        keyed = extract(frame, key, options)
    except BadInput as error:
        return KeyedFrame(number, None, left_out=str(error))
    share = float(keyed.alpha.mean())
    if share > clip.most_share:
        reason = f"the figure fills {share:.0%} of the frame"
        return KeyedFrame(number, None, left_out=reason)
    if last is not None and float((thumbnail(keyed) - last).abs().mean()) < clip.least_change:
        return KeyedFrame(number, None, left_out="nearly the same as the last one")
    return KeyedFrame(number, keyed, cut_sides(keyed.alpha))


def clip_key(path: Path, options: KeyOptions) -> Key:
    """Find the key from frames spread over all of the clip."""
    if options.hue_deg is not None:
        return estimate_key([], options)
    kept: list[Tensor] = []
    stride = 1
    for number, frame in enumerate(frames_of(path)):
        if number % stride:
            continue
        kept.append(frame)
        if len(kept) == 2 * _KEY_FRAMES:
            # twice as far apart from now on: the length is not known before the end
            kept, stride = kept[::2], stride * 2
    if not kept:
        raise BadInput(f"{path} must hold frames", "none")
    return estimate_key(kept, options)


def cut_sides(alpha: Tensor) -> str:
    """List, of L, T, R, B, those borders of 1×1×H×W that 2 % of opaque pixels lie on."""
    solid = alpha[0, 0] > _SOLID
    borders = {"L": solid[:, 0], "T": solid[0], "R": solid[:, -1], "B": solid[-1]}
    return "".join(side for side, line in borders.items() if float(line.float().mean()) > 0.02)


def cropped(keyed: Keyed) -> Keyed:
    """Cut to the figure, with a margin of 4 % of its longer side within the frame."""
    (box,) = boxes_from_masks(keyed.alpha[0] > _FAINT).tolist()
    margin = round(0.04 * max(box[2] - box[0], box[3] - box[1]))
    box = expand_box(box, margin, (int(keyed.alpha.shape[-2]), int(keyed.alpha.shape[-1])))
    return replace(keyed, image=crop(keyed.image, box), alpha=crop(keyed.alpha, box))


def thumbnail(keyed: Keyed) -> Tensor:
    """Make 1×4×32×32 of the figure, premultiplied, and of its alpha."""
    small = functional.adaptive_avg_pool2d(keyed.image * keyed.alpha, _THUMBNAIL)
    alpha = functional.adaptive_avg_pool2d(keyed.alpha, _THUMBNAIL)
    return functional.pad(small, (0, 0, 0, 0, 0, 1)) + functional.pad(alpha, (0, 0, 0, 0, 3, 0))
