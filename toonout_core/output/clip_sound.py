"""Put the sound of a clip into another one: copied where the kind of file allows it,
else encoded.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import BadInput
from .clip_formats import Codec

_BEFORE_S = Fraction(1, 10)  # codecs need something before the first sound


class Sound:
    """The first sound track of a clip, written packet by packet beside the frames.

    Times count from `begin` seconds after the first frame of its video on.
    """

    def __init__(self, source: Any, target: Any, codec: Codec, begin: float = 0.0) -> None:
        self._source, self._target = source, target
        self._track = source.streams.audio[0]
        self._offset = _start(source) + Fraction(begin).limit_denominator(1_000_000)
        name = self._track.codec_context.name
        if codec.sound is None or name in codec.sound:
            self._into = _like(target, self._track)
            self._packets = self._copied()
        else:
            self._into = target.add_stream(codec.sound_codec, rate=48000)
            self._into.layout = "mono" if self._track.channels == 1 else "stereo"
            self._packets = self._encoded()
        self._next: Any = next(self._packets, None)

    @staticmethod
    def of(source: Path, target: Any, codec: Codec, begin: float = 0.0) -> Sound | None:
        """Open the sound of `source`; None where there is none. Raises BadInput if it
        cannot be read.
        """
        import av
        from av.error import FFmpegError

        try:
            opened: Any = av.open(str(source))
        except FFmpegError as error:
            raise BadInput(f"the sound of {source} must be readable", str(error)) from error
        if opened.streams.audio:
            return Sound(opened, target, codec, begin)
        opened.close()
        return None

    def until(self, end: Fraction) -> None:
        """Write what is heard before `end` seconds."""
        while self._next is not None and self._next[0] < end:
            self._target.mux(self._next[1])
            self._next = next(self._packets, None)

    def close(self) -> None:
        """End the sound: nothing more is heard."""
        self._source.close()

    abandon = close

    def _copied(self) -> Iterator[tuple[Fraction, Any]]:
        for packet in self._source.demux(self._track):
            if packet.dts is None or packet.pts is None:
                continue
            ticks = round(self._offset / packet.time_base)
            packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
            seconds = packet.pts * packet.time_base
            if seconds >= -_BEFORE_S:
                packet.stream = self._into
                yield seconds, packet

    def _encoded(self) -> Iterator[tuple[Fraction, Any]]:
        for frame in self._source.decode(self._track):
            if frame.pts is None:
                continue
            frame.pts -= round(self._offset / frame.time_base)
            if frame.pts >= 0:
                yield from self._timed(self._into.encode(frame))
        yield from self._timed(self._into.encode())

    @staticmethod
    def _timed(packets: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        for packet in packets:
            yield packet.pts * packet.time_base, packet


def write_wave(path: Path, waveform: Tensor, rate: int) -> None:
    """Write channels×samples in [-1, 1] as a sound file of 16 bit."""
    levels = waveform.detach().float().cpu().clamp(-1, 1).mul(32767).round()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(waveform))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(levels.t().contiguous().numpy().astype("<i2").tobytes())


def _start(source: Any) -> Fraction:
    """Return the seconds at which the first frame of the video is shown."""
    videos = source.streams.video
    if not videos or videos[0].start_time is None:
        return Fraction(0)
    return videos[0].start_time * videos[0].time_base


def _like(target: Any, track: Any) -> Any:
    if hasattr(target, "add_stream_from_template"):
        return target.add_stream_from_template(track)
    return target.add_stream(template=track)  # PyAV before 14
