"""Frames into a clip: WebM with alpha, mp4 without. There is no sound."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import reverse_colours, to_array

Add = Callable[[Tensor, "Tensor | None"], None]

_BT709 = 1  # in each of H.273's tables; the players' guess would depend on the size


def has_pyav() -> bool:
    """Whether PyAV is there, the extra `video`: without it there is no webm."""
    return importlib.util.find_spec("av") is not None


@contextmanager
def webm_writer(path: Path, rate: float) -> Iterator[Add]:
    """VP9 by PyAV: call what it yields with 1×3×H×W and 1×1×H×W (or None) of each frame.

    Straight alpha, if the first frame has one. Raises BadInput without PyAV.
    """
    if not has_pyav():
        raise BadInput(
            "webm needs the package av", "none",
            "Install it, or save png or mp4.",
        )  # fmt: skip

    def begin(image: Tensor, alpha: Tensor | None) -> _Sink:
        # the codec's alternate frames cannot be transparent
        options = {"crf": "20", "b": "0", "auto-alt-ref": "0", "cpu-used": "4", "row-mt": "1"}
        pixels = "yuv420p" if alpha is None else "yuva420p"
        return _PyAV(path, "webm", "libvpx-vp9", rate, size_of(image), pixels, options)

    with _writer(begin) as add:
        yield add


@contextmanager
def mp4_writer(path: Path, rate: float) -> Iterator[Add]:
    """Opaque: call what it yields with 1×3×H×W of each frame, and None.

    H.264 by PyAV; where that is not there, or a side is odd, MPEG-4 by OpenCV, which editors read
    and browsers do not play.
    """

    def begin(image: Tensor, alpha: Tensor | None) -> _Sink:
        height, width = size_of(image)
        if height % 2 or width % 2 or not _writes_h264():
            return _OpenCV(path, rate, (height, width))
        return _PyAV(path, "mp4", "libx264", rate, (height, width), "yuv420p", {"crf": "16"})

    with _writer(begin) as add_any:

        def add(image: Tensor, alpha: Tensor | None) -> None:
            if alpha is not None:
                raise BadInput("mp4 must be opaque", "alpha", "Choose a background, png or webm.")
            add_any(image, None)

        yield add


def _writes_h264() -> bool:
    if not has_pyav():
        return False
    import av

    return "libx264" in av.codecs_available


def size_of(image: Tensor) -> tuple[int, int]:
    """Height and width in pixels."""
    return int(image.shape[-2]), int(image.shape[-1])


# ---------------------------------------------------------------- files that are being written


class _Sink(Protocol):
    def add(self, image: Tensor, alpha: Tensor | None) -> None: ...

    def close(self) -> None: ...


@contextmanager
def _writer(begin: Callable[[Tensor, Tensor | None], _Sink]) -> Iterator[Add]:
    """The first frame decides size and transparency."""
    sink: _Sink | None = None
    size_hw = (0, 0)

    def add(image: Tensor, alpha: Tensor | None) -> None:
        nonlocal sink, size_hw
        if sink is None:
            sink, size_hw = begin(image, alpha), size_of(image)
        if size_of(image) != size_hw:
            raise BadInput(
                f"all frames must be {size_hw[1]}×{size_hw[0]} as the first",
                f"{image.shape[-1]}×{image.shape[-2]}",
            )
        sink.add(image, alpha)

    try:
        yield add
        if sink is None:
            raise BadInput("a clip must hold frames", "none")
    finally:
        if sink is not None:
            sink.close()


class _PyAV:
    def __init__(
        self,
        path: Path,
        form: str,
        codec: str,
        rate: float,
        size_hw: tuple[int, int],
        pixels: str,
        options: dict[str, str],
    ) -> None:
        import av

        self._library: Any = av
        self._container: Any = self._library.open(str(path), "w", format=form)
        self._stream: Any = self._container.add_stream(
            codec, rate=Fraction(rate).limit_denominator(1001)
        )
        self._stream.height, self._stream.width = size_hw
        self._stream.pix_fmt, self._stream.options = pixels, options
        context = self._stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709

    def add(self, image: Tensor, alpha: Tensor | None) -> None:
        layers = image if alpha is None else torch.cat([image, alpha], 1)
        form = "rgb24" if alpha is None else "rgba"
        frame = self._library.VideoFrame.from_ndarray(to_array(layers)[0], format=form)
        frame = frame.reformat(format=self._stream.pix_fmt, dst_colorspace="ITU709")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _OpenCV:
    def __init__(self, path: Path, rate: float, size_hw: tuple[int, int]) -> None:
        import cv2

        code = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer: Any = cv2.VideoWriter(str(path), code, rate, size_hw[::-1])
        if not self._writer.isOpened():
            raise BadInput("OpenCV must be able to write mp4", "a refusal", "Save png instead.")
        self._path, self._count = path, 0

    def add(self, image: Tensor, alpha: Tensor | None) -> None:
        self._writer.write(to_array(reverse_colours(image))[0])
        self._count += 1

    def close(self) -> None:
        import cv2

        self._writer.release()
        written = cv2.VideoCapture(str(self._path))  # no error is reported by the writer
        frames = int(written.get(cv2.CAP_PROP_FRAME_COUNT))
        written.release()
        if frames != self._count:
            raise BadInput(
                f"the clip must hold {self._count} frames", f"{frames}", "Is the disk full?"
            )
