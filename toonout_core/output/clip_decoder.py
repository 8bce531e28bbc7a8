"""Read videos by PyAV: upright frames with alpha, in the colours that the file means, and
their times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..imaging import Picture, from_array
from ..words import Array

# decoders that give alpha, where the usual ones leave it out
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_UNSPECIFIED = 2  # H.273
_FULL = 2  # 0 … 255
_HD_HEIGHT = 720  # from here on players take the colours of HD, where a file does not say


def told(path: Path) -> tuple[float, float]:
    """Return the frames a second and how many there are, as the file says; 0 where it does not."""
    with _opened(path) as (_, stream):
        rate = stream.average_rate or stream.guessed_rate or 0
        count = stream.frames
        if not count and stream.duration:
            count = round(stream.duration * stream.time_base * rate)
    return float(rate), count


def decoded(path: Path) -> Iterator[Picture]:
    """Yield every frame. Those that say no time, and the last one, are shown as the rate says."""
    with _opened(path) as (container, stream):
        usual = Fraction(stream.average_rate or stream.guessed_rate or 10)
        waiting: Any = None
        for frame in _frames(container, stream):
            if waiting is not None:
                yield _picture(waiting, _between(waiting, frame) or float(1 / usual))
            waiting = frame
        if waiting is None:
            raise BadInput(f"{path} must hold frames", "none")
        last = getattr(waiting, "duration", None) or 0
        yield _picture(waiting, float(last * (waiting.time_base or 0)) or float(1 / usual))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput(f"{path} must be a video", "a file without pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except FFmpegError as error:
        raise BadInput(
            f"{path} must be a video that PyAV reads", error.strerror or str(error)
        ) from error


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    import av

    decoder: Any = stream.codec_context
    name = _WITH_ALPHA.get(decoder.name, "")
    if stream.metadata.get("alpha_mode") == "1" and name in av.codecs_available:
        decoder = av.CodecContext.create(name, "r")
    for packet in container.demux(stream):
        # a packet without contents asks for what is left
        for frame in decoder.decode(packet if packet.size else None):
            if frame.time_base is None:
                frame.time_base = stream.time_base
            yield frame


def _between(frame: Any, following: Any) -> float:
    """Return the seconds between two times, 0 where they do not say it."""
    if frame.pts is None or following.pts is None:
        return 0.0
    return max(float((following.pts - frame.pts) * frame.time_base), 0.0)


# ---------------------------------------------------------------- pixels


def _picture(frame: Any, seconds: float) -> Picture:
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    colours = _upright(_colours(frame), quarters)
    alpha = _alpha(frame)
    shown = None if alpha is None else from_array(_upright(alpha, quarters))
    return Picture(from_array(colours), shown, seconds=seconds)


def _colours(frame: Any) -> Array:
    """Return H×W×3 of 8 bit. They are straight, as ProRes, FFV1 and VP9 hold them beside alpha."""
    if frame.format.is_rgb or frame.format.name.startswith("gray"):
        return frame.reformat(format="rgb24").to_ndarray()
    return frame.reformat(
        format="rgb24",
        src_colorspace=_matrix(frame),
        src_color_range="JPEG" if _is_full(frame) else "MPEG",
        dst_color_range="JPEG",
    ).to_ndarray()


def _alpha(frame: Any) -> Array | None:
    """Return H×W×1 of 8 bit, None where there is none."""
    component = next((part for part in frame.format.components if part.is_alpha), None)
    if component is None:
        return None
    if not frame.format.is_planar:
        return _alpha(frame.reformat(format="gbrap"))
    # not by swscale, which spoils the last column of an odd width
    plane = frame.planes[component.plane]
    order = ">" if frame.format.is_big_endian else "<"
    levels = np.frombuffer(plane, np.uint8 if component.bits == 8 else f"{order}u2")
    levels = levels.reshape(plane.height, -1)[:, : plane.width, None]
    largest = (1 << component.bits) - 1
    return levels if largest == 255 else np.rint(levels * (255 / largest)).astype(np.uint8)


def _matrix(frame: Any) -> str:
    """Return the matrix of Y'CbCr, as swscale calls it."""
    matrix = int(frame.colorspace)
    if matrix == _UNSPECIFIED:
        matrix = 1 if frame.height >= _HD_HEIGHT else 5
    return {1: "ITU709", 4: "FCC", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}.get(matrix, "ITU601")


def _is_full(frame: Any) -> bool:
    return int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")


def _upright(pixels: Array, quarters: int) -> Array:
    """Turn a frame by that many quarters, counter-clockwise."""
    return np.ascontiguousarray(np.rot90(pixels, quarters))
