"""Encode a matte as the file that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..flow import require_numbers
from ..imaging import Metadata, Picture, read
from ..ops.framing import Framing, framed, visible_box
from ..ops.placing import BackgroundFit, fit_background
from ..results import Matte
from .animations import MOVING, AnimationOptions, Frame, write_animation
from .publishing import Join, Part, partial_file, publish_as
from .report import NO_CHARACTER, VISIBLE
from .writing import FORMATS, NO_METADATA, Format, encode, write_checked

Cut = Callable[[Picture], Matte]


@dataclass(frozen=True)
class Output:
    """What a result is made of.

    `bits` 0: 16 where the source has 16 and the format can hold them, else 8. `background`: a
    colour or picture (1×3×1×1 or 1×3×H×W in [0, 1]) that the result stands on; None leaves it
    transparent. A picture gets the result's size by `background_fit`; `bars` (1×3×1×1) is the
    colour of the room that "contain" leaves. `framing`: cut to the character; None leaves the
    picture's size. `joined`: an animation becomes one too, where the format can move; else its
    frames are files.
    """

    format: Format = "png"
    suffix: str = ""  # of the file name; "" takes the format's own
    bits: int = 0
    quality: int | None = None
    mask_only: bool = False
    background: Tensor | None = None
    background_fit: BackgroundFit = "cover"
    bars: Tensor | None = None
    keep_metadata: bool = True
    framing: Framing | None = None
    joined: bool = False

    def __post_init__(self) -> None:
        opaque = self.mask_only or self.background is not None
        if not opaque and not FORMATS[self.format].transparent:
            raise BadInput(
                f"a cutout must be saved as png, webp or tiff, as {self.format} has no "
                "transparency",
                self.format,
                "Or give a background colour.",
            )
        if self.bits and self.bits not in FORMATS[self.format].bits:
            raise BadInput(
                f"{self.format} must have 8 bits a channel", str(self.bits), "Save as png."
            )

    def suffixes(self) -> tuple[str, ...]:
        """List the one ending that a matte's file has."""
        return (self.suffix or FORMATS[self.format].suffixes[0],)

    def parts(self, made: Matte, picture: Picture) -> list[Part]:
        """Return one file. Nothing of the picture that it does not show is kept until it
        is written.
        """
        image, alpha = layers(_framed(made, self), self)
        write = partial(
            _encode_layers, image=image, alpha=alpha, bits=picture.bits, metadata=picture.metadata,
            output=self,
        )  # fmt: skip
        return [Part(suffix, write) for suffix in self.suffixes()]

    def join(self) -> Join[Matte] | None:
        """How an animation's frames become one file; None: each is a file."""
        if not self.joined or self.format not in MOVING:
            return None
        return partial(_write_animation, output=self)

    def notes(self, made: Matte) -> list[str]:
        """Tell what a user should look at; see `observations`."""
        return observations(made)

    def details(self, made: Matte) -> dict[str, Any]:
        """Return nothing, as the file says it all."""
        return {}


def layers(matte: Matte, output: Output) -> tuple[Tensor, Tensor | None]:
    """Return the colours to write and the alpha beside them, None if the result is opaque."""
    if output.mask_only:
        return matte.alpha, None
    if output.background is not None:
        return matte.composite(_behind(output, matte.size_hw)), None
    return matte.colours, matte.alpha


def encode_matte(stream: IO[bytes], matte: Matte, picture: Picture, output: Output) -> list[str]:
    """Write one result to a binary stream and return what is worth knowing about it."""
    notes = [*picture.notes, *observations(matte)]
    image, alpha = layers(_framed(matte, output), output)
    return notes + _encode_layers(stream, image, alpha, picture.bits, picture.metadata, output)


def _encode_layers(
    stream: IO[bytes],
    image: Tensor,
    alpha: Tensor | None,
    bits: int,
    metadata: Metadata,
    output: Output,
) -> list[str]:
    deep = bits > 8
    bits = output.bits or (16 if deep and 16 in FORMATS[output.format].bits else 8)
    encode(
        stream, image, alpha, format=output.format, bits=bits, quality=output.quality,
        metadata=metadata if output.keep_metadata else NO_METADATA,
    )  # fmt: skip
    return ["16 bits a channel were written as 8"] if deep and bits == 8 else []


def _framed(matte: Matte, output: Output) -> Matte:
    return matte if output.framing is None else matte.framed(output.framing)


def _write_animation(
    stream: IO[bytes], frames: Iterable[tuple[Matte, Picture]], *, output: Output
) -> list[str]:
    """All frames into one file, each shown as long as in the source; what is worth knowing."""
    remaining = iter(frames)
    first = next(remaining)
    picture = first[1]
    options = AnimationOptions(
        output.format, picture.plays, output.bits or 8, output.quality,
        picture.metadata if output.keep_metadata else NO_METADATA,
    )  # fmt: skip
    notes: list[str] = []

    def told() -> Iterator[tuple[Matte, float]]:
        for matte, picture in chain([first], remaining):
            notes.extend([*picture.notes, *observations(matte)])
            yield matte, picture.seconds

    mattes = told() if output.framing is None else _framed_alike(told(), output.framing)
    shown = (Frame(*layers(matte, output), seconds) for matte, seconds in mattes)
    count = write_animation(stream, shown, options)
    return [*dict.fromkeys(notes), f"{count} frames"]


def _framed_alike(
    frames: Iterable[tuple[Matte, float]], framing: Framing
) -> Iterator[tuple[Matte, float]]:
    """All cut to one box, around what any of them shows: they are held until the last is known, as
    the bytes of PNG files."""
    kept: list[tuple[bytes, float]] = []
    boxes: list[list[int]] = []
    size_hw = (1, 1)
    for matte, seconds in frames:
        stream = BytesIO()
        encode(stream, matte.colours, matte.alpha)
        kept.append((stream.getvalue(), seconds))
        size_hw = matte.size_hw
        boxes += [box] if (box := visible_box(matte.alpha)) else []
    left, top, right, bottom = zip(*boxes or [[0, 0, size_hw[1], size_hw[0]]], strict=True)
    crop = framed([min(left), min(top), max(right), max(bottom)], size_hw, framing)
    for data, seconds in kept:
        held = read(BytesIO(data))
        alpha = torch.ones_like(held.image[:, :1]) if held.alpha is None else held.alpha
        yield Matte(held.image, alpha, held.image).cut_to(crop), seconds


def _behind(output: Output, size_hw: tuple[int, int]) -> Tensor:
    """Return the background in `size_hw`; a colour stays as it is."""
    background = output.background
    assert background is not None
    if tuple(background.shape[-2:]) in ((1, 1), size_hw):
        return background
    bars = background.new_zeros((1, 3, 1, 1)) if output.bars is None else output.bars
    plain = bars.to(background).expand(1, 3, *size_hw)
    return fit_background(background, size_hw, output.background_fit, plain)


def observations(matte: Matte) -> list[str]:
    """Tell what a user should look at. Raises BadInput if alpha is no number somewhere."""
    require_numbers(matte.alpha, "the model")
    notes: list[str] = []
    if float(matte.alpha.max()) < VISIBLE:
        notes.append(f"{NO_CHARACTER}: alpha stays below {VISIBLE}")
    return notes


def cut_picture(
    picture: Picture, cut: Cut, path: Path, output: Output, *, overwrite: bool = False
) -> tuple[Path, list[str]]:
    """Write one picture that is no file into one file. Returns its path, and what is
    worth knowing.
    """
    with partial_file(path.parent) as partial:
        matte = cut(picture)
        notes = write_checked(partial, lambda stream: encode_matte(stream, matte, picture, output))
        return publish_as(partial, path, overwrite=overwrite), notes
