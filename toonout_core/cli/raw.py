"""`toonout cutout --raw`: bare frames from one program to the next, without files between them."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import IO

from ..errors import BadInput
from .cutting import make_cut, output_of
from .folder_run import note
from .options import open_host
from .terminal import require_redirected_stdout

_MOST_PIXELS = 100_000_000


def cut_raw(arguments: argparse.Namespace) -> int:
    """Each frame of stdin to stdout, as soon as it is cut."""
    import numpy as np

    from ..imaging import Picture, from_array, to_array
    from ..output.cutouts import layers

    width, height = _size(arguments.raw)
    if arguments.paths != ["-"] or arguments.out not in (None, "-"):
        raise BadInput("--raw must read stdin and write to stdout", "files", "Give - alone.")
    if arguments.crop is not None:
        raise BadInput("--crop must be left out with --raw", arguments.crop)
    require_redirected_stdout()
    output = output_of(arguments)
    opaque = "gray" if output.mask_only else "rgb24"
    form = opaque if output.mask_only or output.background is not None else "rgba"
    note(arguments, f"Frames on stdout: {form}, {width}x{height}")
    cut = make_cut(arguments)
    open_host(arguments).quiet = True  # a bar for each frame tells nothing
    for frame in _frames(sys.stdin.buffer, 3 * width * height):
        pixels = np.frombuffer(frame, np.uint8).reshape(height, width, 3)
        image, alpha = layers(cut(Picture(from_array(pixels))), output)
        sys.stdout.buffer.write(to_array(image, alpha=alpha).tobytes())
        sys.stdout.buffer.flush()
    return 0


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    width, height = map(int, found.groups()) if found else (0, 0)
    if not 0 < width * height <= _MOST_PIXELS:
        raise BadInput("--raw must be the size of the frames, as 1920x1080", repr(text))
    return width, height


def _frames(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while frame := _read(stream, size):
        if len(frame) < size:
            raise BadInput(
                f"stdin must hold whole frames of {size} bytes (rgb24)",
                f"{len(frame)} bytes at the end",
                "Check the size and the pixel format.",
            )
        yield frame


def _read(stream: IO[bytes], size: int) -> bytes:
    """A pipe gives what it has, which may be less."""
    parts: list[bytes] = []
    missing = size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
