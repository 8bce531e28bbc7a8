"""Read a clip, one frame after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import BadInput
from ..imaging import Picture, from_array, read_frames, reverse_colours
from .clip_formats import VIDEO_SUFFIXES, has_pyav

_JITTER_S = 1e-4  # times of frames are rounded
_RATE_OF_PICTURES = 10.0  # frames a second of pictures that do not say it


def is_video(path: Path) -> bool:
    """Tell by the ending whether a file is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def frames_of(path: Path) -> Iterator[Tensor]:
    """Yield 1×3×H×W in [0, 1] for each frame of a picture, an animated picture or a video."""
    return (picture.image for picture in pictures_of(path))


def pictures_of(path: Path, *, video: bool | None = None) -> Iterator[Picture]:
    """Yield the frames upright, with alpha where there is any, and with the time that each is
    shown.

    No more than one frame is held. Raises BadInput. Without PyAV, videos are read by OpenCV, which
    knows no alpha and takes all frames to be shown equally long. `video`: what the file is; None:
    as its name says.
    """
    if not (is_video(path) if video is None else video):
        yield from read_frames(path)
    elif has_pyav():
        from .clip_decoder import decoded

        yield from decoded(_there(path))
    else:
        seconds = 1 / timing(path, video=True)[0]
        with _opened(path) as opened:
            while True:
                there, frame = opened.read()
                if not there:
                    return
                yield Picture(reverse_colours(from_array(np.asarray(frame))), seconds=seconds)


def part_of(frames: Iterator[Picture], start: float, seconds: float) -> Iterator[Picture]:
    """Yield those that begin from `start` seconds on, for `seconds`; 0: up to the end."""
    clock = 0.0
    for picture in frames:
        if seconds and clock > start + seconds - _JITTER_S:
            return
        if clock > start - _JITTER_S:
            yield picture
        clock += picture.seconds


def timing(path: Path, *, video: bool | None = None) -> tuple[float, int]:
    """Return the frames a second, and how many frames a video says that it has; 0 where nothing
    says it.

    The frames of a clip may be shown for different times: then the mean is taken. `video`: as in
    `pictures_of`.
    """
    if not (is_video(path) if video is None else video):
        seconds = [picture.seconds for picture in read_frames(path)]
        known = len(seconds) > 1 and min(seconds) > 0
        return len(seconds) / sum(seconds) if known else _RATE_OF_PICTURES, 0
    if has_pyav():
        from .clip_decoder import told

        rate, count = told(_there(path))
    else:
        from ..opencv import cv2

        with _opened(path) as opened:
            rate = float(opened.get(cv2.CAP_PROP_FPS))
            count = float(opened.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else _RATE_OF_PICTURES
    return rate, int(count) if math.isfinite(count) and count > 0 else 0


def _there(path: Path) -> Path:
    if not path.is_file():
        raise BadInput("a clip must exist", f"no file at {path}")
    return path


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from ..opencv import cv2

    video = cv2.VideoCapture(str(_there(path)))
    try:
        if not video.isOpened():
            raise BadInput(f"{path} must be a video that OpenCV reads", "something else")
        yield video
    finally:
        video.release()
