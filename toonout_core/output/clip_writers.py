"""Write frames into a clip that is whole at the end, or not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from ..errors import BadInput
from .animations import AnimationOptions, Frame, StillSink, begin_animation
from .clip_encoders import Beside, ByOpenCV, ByPyAV, Sink, can_encode
from .clip_formats import CLIP_FORMATS, require_format
from .publishing import partial_file, publish_as
from .writing import Format

_RATE = 24.0  # frames a second where nothing says it


@contextmanager
def new_clip(
    path: Path,
    *,
    rate: float = _RATE,
    sound: Path | None = None,
    sound_from: float = 0.0,
    quality: int | None = None,
    texts: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Iterator[ClipWriter]:
    """Make a clip that is `path` at the end of the block, or has a number there if that is taken.

    Its `path` says which. If the block ends with an error, nothing is left. See `clip_writer`.
    """
    require_format(path)
    with partial_file(path.parent, path.suffix) as partial:
        with clip_writer(
            partial, rate=rate, sound=sound, sound_from=sound_from, quality=quality, texts=texts
        ) as writer:
            yield writer
        writer.path = publish_as(partial, path, overwrite=overwrite)


@contextmanager
def clip_writer(
    path: Path,
    *,
    rate: float = _RATE,
    sound: Path | None = None,
    sound_from: float = 0.0,
    quality: int | None = None,
    texts: Mapping[str, str] | None = None,
) -> Iterator[ClipWriter]:
    """Write a clip at `path`, which nobody has yet; the name's ending tells its kind.

    `rate`: frames a second of frames that do not say how long they are shown. `sound`: a clip whose
    sound is kept from `sound_from` seconds on, as far as the frames reach. `texts`: what videos
    hold by name, such as a workflow. `quality` 1 … 100 makes animated WebP lossy; other
    kinds have one quality, in which alpha is right within 2/255. Raises BadInput for what the kind
    cannot hold, and if there was no frame.
    """
    beside = Beside(sound, sound_from, texts or {})
    writer = ClipWriter(path, require_format(path), Fraction(rate), beside, quality)
    try:
        yield writer
        writer.finish()
    finally:
        writer.abandon()


class ClipWriter:
    """Takes frames. The first one decides the size, and whether there is alpha."""

    def __init__(
        self, path: Path, kind: str, rate: Fraction, beside: Beside, quality: int | None
    ) -> None:
        self.path = path
        self.frames = 0
        self._kind, self._rate, self._beside = kind, rate.limit_denominator(1001), beside
        self._quality = quality
        self._sink: Sink | None = None
        self._shape = (0, 0, 0)
        self._clock = Fraction(0)

    def add(self, image: Tensor, alpha: Tensor | None = None, seconds: float | None = None) -> None:
        """1×3×H×W and straight alpha 1×1×H×W in [0, 1]; `seconds`: how long it is shown."""
        shape = (*map(int, image.shape[-2:]), 3 if alpha is None else 4)
        if self._sink is None:
            self._shape = shape
            self._sink = self._open()
        if shape != self._shape:
            raise BadInput(f"all frames must be {_spelt(self._shape)} as the first", _spelt(shape))
        shown = Fraction(seconds).limit_denominator(100_000) if seconds else 1 / self._rate
        layers = image if alpha is None else torch.cat([image, alpha], 1)
        self._sink.add(layers, self._clock, shown)
        self._clock += shown
        self.frames += 1

    def finish(self) -> None:
        """Write the end of the file. Raises BadInput if there was no frame, OSError."""
        sink, self._sink = self._sink, None
        if sink is None:
            raise BadInput("a clip must hold frames", "none")
        sink.close()

    def abandon(self) -> None:
        """Close the file, if it is open still, as it is."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abandon()

    def _open(self) -> Sink:
        kind = CLIP_FORMATS[self._kind]
        if self._shape[2] == 4 and not kind.transparent:
            raise BadInput(
                f"{self._kind} must be opaque", "alpha", "Choose a background, webm, mov or webp."
            )
        if kind.codec is None:
            return _Animation(self.path, "webp" if self._kind == "webp" else "png", self._quality)
        if not can_encode(kind.codec):
            return ByOpenCV(self.path, float(self._rate), self._shape)
        return ByPyAV(self.path, kind.codec, self._rate, self._shape, self._beside)


class _Animation:
    """An animated picture, which repeats for ever."""

    def __init__(self, path: Path, form: Format, quality: int | None) -> None:
        self._file = path.open("xb")
        self._options = AnimationOptions(form, quality=quality)
        self._sink: StillSink | None = None

    def add(self, layers: Tensor, start: Fraction, seconds: Fraction) -> None:
        image, alpha = layers.split([3, layers.shape[1] - 3], 1)
        frame = Frame(image, alpha if alpha.shape[1] else None, float(seconds))
        if self._sink is None:
            self._sink = begin_animation(self._file, frame, self._options)
        # rounded at both ends, so that the roundings do not add up
        unit = self._sink.ticks_per_second
        ticks = round((start + seconds) * unit) - round(start * unit)
        self._sink.add(image, frame.alpha, max(ticks, 1))

    def close(self) -> None:
        with self._file:
            if self._sink is not None:
                self._sink.close()

    def abandon(self) -> None:
        self._file.close()


def _spelt(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}" + (" with alpha" if shape[2] == 4 else "")
