"""Frames that were made, one at a time, into a file or a folder: whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import BadInput
from ..imaging.reel import Reel
from .clip_writers import Add, mp4_writer, webm_writer
from .publishing import PARTIAL_SUFFIX, named, partial_file, publish_as, write_whole
from .writing import write

Shown = tuple[Tensor, "Tensor | None"]  # 1×3×H×W and straight alpha 1×1×H×W, or None: opaque

FILM_SUFFIXES = (".mp4", ".webm", ".webp")
_QUALITY = 90  # of an animated WebP


def is_folder(path: Path | str) -> bool:
    """Whether results are frames in a folder: a name without an ending, or one that ends in /."""
    return str(path).endswith(("/", "\\")) or not Path(path).suffix or Path(path).is_dir()


def require_film(path: Path, *, transparent: bool) -> None:
    """Raises BadInput for a name that no film can have, before anything is computed."""
    if is_folder(path):
        return
    if path.suffix.lower() not in FILM_SUFFIXES:
        raise BadInput(
            f"a clip must be one of {', '.join(FILM_SUFFIXES)}, or a folder for its frames",
            f"the name {path}",
        )
    if transparent and path.suffix.lower() == ".mp4":
        raise BadInput(
            "mp4 must be opaque", "a transparent clip",
            "Save it as webm or webp, or as a folder of frames.",
        )  # fmt: skip


def write_film(
    path: Path, frames: Iterable[Shown], count: int, rate: float, *, overwrite: bool = False
) -> Path:
    """Where `count` frames lie: an mp4, webm, animated webp, or a folder of png.

    Only one frame is held at a time. A name that is taken gets a number, unless a file may be
    overwritten. When anything is raised between the frames, stop for one, nothing is left.
    """
    if is_folder(path):
        return _to_folder(path, frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path.parent, path.suffix) as partial:
        if path.suffix.lower() == ".webp":
            write_whole(partial, lambda stream: _webp(stream, frames, count, rate))
        else:
            with _writer(path.suffix.lower(), partial, rate) as add:
                for image, alpha in frames:
                    add(image, alpha)
        return publish_as(partial, path, overwrite=overwrite)


@contextmanager
def _writer(suffix: str, path: Path, rate: float) -> Iterator[Add]:
    if suffix == ".webm":
        with webm_writer(path, rate) as add:
            yield add
        return
    with mp4_writer(path, rate) as add_even:

        def cut(image: Tensor, alpha: Tensor | None) -> None:
            """H.264 that browsers play has even sides: the last row and column may go."""
            height, width = (side - side % 2 for side in image.shape[-2:])
            add_even(image[..., : max(height, 1), : max(width, 1)], alpha)

        yield cut


def _to_folder(path: Path, frames: Iterable[Shown]) -> Path:
    """Numbered png, from 1 on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(PARTIAL_SUFFIX, ".", path.parent))
    try:
        number = 0
        for number, (image, alpha) in enumerate(frames, 1):
            write(hidden / f"{path.name}_{number:05d}.png", image, alpha)
        if not number:
            raise BadInput("a clip must hold frames", "none")
        hidden.chmod(0o777 & ~_umask())
        return _published(hidden, path)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _published(hidden: Path, path: Path) -> Path:
    """The folder under its name, or one with the next free number."""
    number = 1
    while True:
        target = path if number == 1 else named(path, f"_{number}")
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            if target.exists():
                target.rmdir()  # empty: it was made for this
            hidden.rename(target)
            return target
        number += 1


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---------------------------------------------------------------- animated pictures


def _webp(stream: Any, frames: Iterable[Shown], count: int, rate: float) -> None:
    ends = np.round(np.arange(1, count + 1) * 1000 / rate)
    lasting = np.diff(ends, prepend=0).astype(int).tolist()
    Reel(frames, count).save(
        stream, "WEBP", save_all=True, duration=lasting, loop=0, quality=_QUALITY, method=2,
        kmin=9, kmax=17,
    )  # fmt: skip
