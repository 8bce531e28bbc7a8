"""Clips: one frame after the other out of a file. Sound is not read."""

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

VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v"})

_RATE_OF_PICTURES = 10.0  # frames a second of pictures that do not say it


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
    """Frames a second, and how many frames a video says that it has: 0 where nothing says it.

    Of an animated picture, whose frames may be shown for different times, the mean.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        seconds = [picture.seconds for picture in read_frames(path)]
        known = len(seconds) > 1 and min(seconds) > 0
        return len(seconds) / sum(seconds) if known else _RATE_OF_PICTURES, 0
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
