"""Write frames, made one at a time, into a file or a folder: whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..errors import BadInput
from .clip_formats import CLIP_FORMATS, require_format
from .clip_writers import new_clip
from .publishing import PARTIAL_SUFFIX, named
from .writing import write

Shown = tuple[Tensor, "Tensor | None"]  # 1×3×H×W and straight alpha 1×1×H×W, or None: opaque

_QUALITY = 90  # of an animated WebP


def is_folder(path: Path | str) -> bool:
    """Tell whether results are frames in a folder: a name without an ending, or one that
    ends in /.
    """
    return str(path).endswith(("/", "\\")) or not Path(path).suffix or Path(path).is_dir()


def require_film(path: Path, *, transparent: bool) -> None:
    """Raise BadInput for a name that no film can have, before anything is computed."""
    if is_folder(path):
        return
    kind = require_format(path)
    if transparent and not CLIP_FORMATS[kind].transparent:
        raise BadInput(
            f"{kind} must be opaque", "a transparent clip",
            "Save it as webm or webp, or as a folder of frames.",
        )  # fmt: skip


def write_film(
    path: Path, frames: Iterable[Shown], rate: float, *, overwrite: bool = False
) -> Path:
    """Write a clip of the kind that the name says, or a folder of png, and return where it is.

    Only one frame is held at a time. A name that is taken gets a number, unless a file may be
    overwritten. When anything is raised between the frames, such as a stop, nothing is left.
    """
    if is_folder(path):
        return _to_folder(path, frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_clip(path, rate=rate, quality=_QUALITY, overwrite=overwrite) as clip:
        for image, alpha in frames:
            clip.add(image, alpha)
            del image, alpha  # while the next one is made
    return clip.path


def _to_folder(path: Path, frames: Iterable[Shown]) -> Path:
    """Write numbered png, from 1 on."""
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
    """Give the folder its name, or one with the next free number."""
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
