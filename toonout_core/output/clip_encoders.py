"""Encode clips: by PyAV, or mp4 by OpenCV where PyAV is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ..errors import BadInput
from ..imaging import reverse_colours, to_array
from ..words import Array
from .clip_formats import Codec, has_pyav
from .clip_sound import Sound

_BT709 = 1  # in each of H.273's tables; the players' guess would depend on the size
_LIMITED = 1  # 16 … 235
_FINEST = 10_000  # at least so many ticks a second: frames may be shown for different times

_VECTOR_PX = 32  # of the widest vectors that swscale may use


@dataclass(frozen=True)
class Beside:
    """What a video holds beside its frames: the sound of a clip from some second on, and texts by
    their names."""

    sound: Path | None = None
    sound_from: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict[str, str])


class Sink(Protocol):
    """Takes frames of one shape, 1×3×H×W or 1×4×H×W in [0, 1], and how long each is shown."""

    def add(self, layers: Tensor, start: Fraction, seconds: Fraction) -> None:
        """A frame that is shown from `start` on, for `seconds`."""
        ...

    def close(self) -> None:
        """Finish the file. Raises OSError."""
        ...

    def abandon(self) -> None:
        """Close the file as it is."""
        ...


def can_encode(codec: Codec) -> bool:
    """Tell whether PyAV is there and writes it. Raises BadInput if it does not, and
    OpenCV neither.
    """
    if not has_pyav():
        return False
    import av

    if codec.name in av.codecs_available:
        return True
    if codec.name == "libx264":
        return False
    raise BadInput(f"PyAV must be able to write {codec.name}", "one that cannot", "Update it.")


def has_side_data() -> bool:
    """Return whether this PyAV can hand data from packet to packet; 12, 13 and 15 cannot."""
    import av

    return hasattr(av.Packet, "get_sidedata")


class ByPyAV:
    """Writes any `Codec` by PyAV, with the sound of another clip."""

    def __init__(
        self, path: Path, codec: Codec, rate: Fraction, shape: tuple[int, ...], beside: Beside
    ) -> None:
        import av

        self._library: Any = av
        self.codec, self._transparent = codec, shape[2] == 4
        # a file of Python's tells of a full disk
        self._file = path.open("xb")
        # QuickTime's kinds keep no other names than their own unless told to
        own = {"movflags": "use_metadata_tags"} if beside.texts else {}
        self._container: Any = av.open(self._file, "w", format=codec.container, options=own)
        self._container.metadata.update(beside.texts)
        self._tick = _tick(rate)
        self._stream: Any = self._container.add_stream(codec.name, rate=rate)
        self.prepare(self._stream.codec_context, shape, rate, codec.options)
        self._alpha = None
        if codec.name == "libvpx-vp9" and self._transparent and has_side_data():
            self._alpha = _ExactAlpha(self, shape, rate)
        self._sound = None
        if beside.sound is not None:
            self._sound = Sound.of(beside.sound, self._container, codec, beside.sound_from)
        self._end = Fraction(0)
        self._durations: dict[int, int] = {}  # of frames that are being encoded, by their start

    def prepare(
        self, context: Any, shape: tuple[int, ...], rate: Fraction, options: Mapping[str, str]
    ) -> None:
        """Tell an encoder what it will get."""
        even = 2 if self.codec.even else 1
        context.height, context.width = (-(-side // even) * even for side in shape[:2])
        context.pix_fmt = self.codec.transparent if self._transparent else self.codec.opaque
        context.options, context.time_base, context.framerate = dict(options), self._tick, rate
        if context.pix_fmt.startswith("yuv"):
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED

    def _frame(self, array: Array, start: Fraction, seconds: Fraction) -> Any:
        """As the codec takes it."""
        array = _even(array) if self.codec.even else array
        form = "rgba" if self._transparent else "rgb24"
        height, width = array.shape[:2]
        # swscale spoils alpha now and then where the last vector of a row is not full
        array = np.pad(array, ((0, 0), (0, -width % _VECTOR_PX), (0, 0)), mode="edge")
        frame = self._library.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=form)
        pixels = self._stream.codec_context.pix_fmt
        frame = frame.reformat(
            format=pixels, dst_colorspace="ITU709" if pixels.startswith("yuv") else None
        )
        if frame.width != width:
            frame = _narrowed(frame, self._library.VideoFrame(width, height, pixels))
        self.time(frame, start, seconds)
        return frame

    def time(self, frame: Any, start: Fraction, seconds: Fraction) -> None:
        """Tell a frame when it is shown."""
        frame.pts, frame.time_base = round(start / self._tick), self._tick
        self._durations[frame.pts] = round((start + seconds) / self._tick) - frame.pts

    def add(self, layers: Tensor, start: Fraction, seconds: Fraction) -> None:
        frame = to_array(layers)[0]
        if self._alpha is not None:
            self._alpha.add(frame, start, seconds)
            frame[..., 3] = 255
        self._mux(self._stream.encode(self._frame(frame, start, seconds)))
        if self._sound is not None:
            self._sound.until(start)
        self._end = start + seconds

    def close(self) -> None:
        if self._alpha is not None:
            self._alpha.end()
        self._mux(self._stream.encode())
        if self._sound is not None:
            self._sound.until(self._end)
            self._sound.close()
        self._container.close()
        self._file.close()

    def abandon(self) -> None:
        if self._sound is not None:
            self._sound.abandon()
        self._container.close()
        self._file.close()

    def _mux(self, packets: list[Any]) -> None:
        if self._alpha is not None:
            packets = self._alpha.joined(packets)
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)


class _ExactAlpha:
    """Writes the alpha of VP9, a second picture without colours beside each frame, without loss.

    The codec itself gives alpha the quality of the colours. At a quality that suits colours, 20/255
    are lost at edges; without loss, colours take several times the room. Needs `has_side_data`.
    """

    def __init__(self, sink: ByPyAV, shape: tuple[int, ...], rate: Fraction) -> None:
        import av

        self._sink = sink
        self._library: Any = av
        self._encoder: Any = av.CodecContext.create("libvpx-vp9", "w")
        options = {**sink.codec.options, "lossless": "1"}
        del options["crf"]
        sink.prepare(self._encoder, shape, rate, options)
        self._of_alpha: deque[Any] = deque()
        self._of_colours: deque[Any] = deque()

    def add(self, frame: Array, start: Fraction, seconds: Fraction) -> None:
        made = self._library.VideoFrame(frame.shape[1], frame.shape[0], "yuva420p")
        for number, plane in enumerate(made.planes):
            rows = np.full((plane.height, plane.line_size), 128, np.uint8)
            if number == 3:
                rows[:, : plane.width] = frame[..., 3]
            plane.update(rows)
        self._sink.time(made, start, seconds)
        self._of_alpha.extend(self._encoder.encode(made))

    def end(self) -> None:
        self._of_alpha.extend(self._encoder.encode())

    def joined(self, packets: list[Any]) -> list[Any]:
        """Packets of colours that have their alpha now."""
        self._of_colours.extend(packets)
        done: list[Any] = []
        while self._of_colours and self._of_alpha:
            done.append(self._of_colours.popleft())
            alpha = self._of_alpha.popleft().get_sidedata("matroska_block_additional")
            alpha.to_packet(done[-1])
        return done


def _narrowed(frame: Any, target: Any) -> Any:
    """Copy the left part of a frame into `target`, which is of the same kind and less wide."""
    for wide, plane in zip(frame.planes, target.planes, strict=True):
        rows = np.frombuffer(wide, np.uint8).reshape(wide.height, wide.line_size)
        kept = np.zeros((plane.height, plane.line_size), np.uint8)
        shared = min(wide.line_size, plane.line_size)
        kept[:, :shared] = rows[:, :shared]
        plane.update(kept)
    # encoders write what frames say of their colours
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        if hasattr(frame, name):
            setattr(target, name, getattr(frame, name))
    return target


def _even(frame: Array) -> Array:
    """Repeat the last row or column where there is an odd number of them."""
    rows, columns = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, ((0, rows), (0, columns), (0, 0)), mode="edge")


def _tick(rate: Fraction) -> Fraction:
    """Return the unit of time. A frame at `rate` takes a whole number of these, and a second at
    least 10 000.
    """
    return 1 / (rate.numerator * Fraction(max(1, -(-_FINEST // rate.numerator))))


class ByOpenCV:
    """Writes MPEG-4, which editors read and browsers do not play. All frames are shown
    equally long.
    """

    def __init__(self, path: Path, rate: float, shape: tuple[int, ...]) -> None:
        from ..opencv import cv2

        code = cv2.VideoWriter.fourcc(*"mp4v")
        size = (shape[1] + shape[1] % 2, shape[0] + shape[0] % 2)
        self._writer: Any = cv2.VideoWriter(str(path), code, rate, size)
        if not self._writer.isOpened():
            raise BadInput("OpenCV must be able to write mp4", "a refusal", "Save png instead.")
        self._path, self._count = path, 0

    def add(self, layers: Tensor, start: Fraction, seconds: Fraction) -> None:
        self._writer.write(np.ascontiguousarray(_even(to_array(reverse_colours(layers))[0])))
        self._count += 1

    def close(self) -> None:
        from ..opencv import cv2

        self._writer.release()
        written = cv2.VideoCapture(str(self._path))  # no error is reported by the writer
        frames = int(written.get(cv2.CAP_PROP_FRAME_COUNT))
        written.release()
        if frames != self._count:
            raise BadInput(
                f"the clip must hold {self._count} frames", f"{frames}", "Is the disk full?"
            )

    def abandon(self) -> None:
        self._writer.release()
