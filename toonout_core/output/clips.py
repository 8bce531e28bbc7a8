"""Clips: one frame after the other out of a file, and into one. Sound is not kept."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..imaging import Picture, from_array, read_frames, reverse_colours, to_array

VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v"})

_RATE_OF_PICTURES = 10.0  # frames a second of an animated picture

Add = Callable[[Tensor, "Tensor | None"], None]


def frames_of(path: Path) -> Iterator[Tensor]:
    """1×3×H×W in [0, 1] each, of a picture, an animated picture or a video."""
    return (picture.image for picture in pictures_of(path))


def pictures_of(path: Path) -> Iterator[Picture]:
    """The same with alpha where a picture has it; no more than one is held. Raises BadInput.

    OpenCV reads no alpha of videos.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        yield from read_frames(path)
        return
    with _video(path) as video:
        while True:
            there, frame = video.read()
            if not there:
                return
            yield Picture(reverse_colours(from_array(np.asarray(frame))))


def timing(path: Path) -> tuple[float, int]:
    """Frames a second, and how many frames a video says that it has: 0 where nothing says it."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return _RATE_OF_PICTURES, 0
    import cv2

    with _video(path) as video:
        rate = float(video.get(cv2.CAP_PROP_FPS))
        count = float(video.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else _RATE_OF_PICTURES
    return rate, int(count) if math.isfinite(count) and count > 0 else 0


@contextmanager
def _video(path: Path) -> Iterator[Any]:
    import cv2

    if not path.is_file():
        raise BadInput("a clip must exist", f"no file at {path}")
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise BadInput(f"{path} must be a video that OpenCV reads", "something else")
        yield video
    finally:
        video.release()


# ---------------------------------------------------------------- writing


def writes_webm() -> bool:
    """Whether PyAV is there, the extra `video`."""
    return importlib.util.find_spec("av") is not None


@contextmanager
def webm_writer(path: Path, rate: float) -> Iterator[Add]:
    """VP9 by PyAV: call what it yields with 1×3×H×W and 1×1×H×W (or None) of each frame.

    Straight alpha, if the first frame has one. Raises BadInput without PyAV.
    """
    if not writes_webm():
        raise BadInput(
            "webm needs the package av", "none",
            "Install it, or save png or mp4.",
        )  # fmt: skip
    import av

    library: Any = av
    with library.open(str(path), "w", format="webm") as container:
        stream: Any = None

        def add(image: Tensor, alpha: Tensor | None) -> None:
            nonlocal stream
            if stream is None:
                stream = _vp9_stream(container, image, alpha is not None, rate)
            _require_size(image, (stream.height, stream.width))
            layers = image if alpha is None else torch.cat([image, alpha], 1)
            form = "rgb24" if alpha is None else "rgba"
            frame = library.VideoFrame.from_ndarray(to_array(layers)[0], format=form)
            container.mux(stream.encode(frame))

        yield add
        if stream is None:
            raise BadInput("a clip must hold frames", "none")
        container.mux(stream.encode())


def _vp9_stream(container: Any, image: Tensor, transparent: bool, rate: float) -> Any:
    stream = container.add_stream("libvpx-vp9", rate=Fraction(rate).limit_denominator(1001))
    stream.height, stream.width = int(image.shape[-2]), int(image.shape[-1])
    stream.pix_fmt = "yuva420p" if transparent else "yuv420p"
    # the codec's alternate frames cannot be transparent
    stream.options = {"crf": "20", "b": "0", "auto-alt-ref": "0", "cpu-used": "4", "row-mt": "1"}
    return stream


@contextmanager
def mp4_writer(path: Path, rate: float) -> Iterator[Add]:
    """MPEG-4 by OpenCV, opaque: call what it yields with 1×3×H×W of each frame, and None."""
    import cv2

    writer: Any = None

    def add(image: Tensor, alpha: Tensor | None) -> None:
        nonlocal writer
        if alpha is not None:
            raise BadInput("mp4 must be opaque", "alpha", "Choose a background, png or webm.")
        size_hw = (int(image.shape[-2]), int(image.shape[-1]))
        if writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            made: Any = cv2.VideoWriter(str(path), code, rate, size_hw[::-1])
            if not made.isOpened():
                raise BadInput("OpenCV must be able to write mp4", "a refusal", "Save png instead.")
            writer = (made, size_hw)
        _require_size(image, writer[1])
        writer[0].write(to_array(reverse_colours(image))[0])

    try:
        yield add
        if writer is None:
            raise BadInput("a clip must hold frames", "none")
    finally:
        if writer is not None:
            writer[0].release()


def _require_size(image: Tensor, size_hw: tuple[int, int]) -> None:
    if tuple(image.shape[-2:]) != size_hw:
        raise BadInput(
            f"all frames must be {size_hw[1]}×{size_hw[0]} as the first",
            f"{image.shape[-1]}×{image.shape[-2]}",
        )
