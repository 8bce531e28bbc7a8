"""Alpha that survives saving: one callback of the host, before it writes a file.

Forge makes pictures with an infotext opaque (its "stealth" infotext, in place), and formats without
transparency show black. So a cutout carries its alpha along, and gets it back right before it is
written, as PNG where the chosen format would lose it. Masks carry themselves along likewise: the
stealth infotext changes colours too.
"""

from __future__ import annotations

import os
from typing import Any

from PIL.Image import Image

from . import hosts

ATTRIBUTE = "toonout_alpha"
MASK = "toonout_mask"
BESIDE = "toonout_beside"
STEALTHY = 254  # least alpha that hosts hide an infotext in
INFOTEXTS = ("ToonOut keep:", "ToonOut: ")  # after generation, and in Extras
# WebP keeps alpha in itself, but hosts write it as RGB
LOSSY = frozenset({".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".jxl"})


def mark(cutout: Image) -> Image:
    """The same RGBA picture, carrying its alpha a second time."""
    setattr(cutout, ATTRIBUTE, cutout.getchannel("A"))
    return cutout


def mark_mask(mask: Image) -> Image:
    """An RGB picture of a mask (Forge fails on grey ones), to be written as grey PNG."""
    picture = mask.convert("RGB")
    setattr(picture, MASK, picture.convert("L"))
    return picture


def for_host(picture: Image) -> Image:
    """What a host can save: Forge, told to write its infotext into colours, fails on a fourth
    channel. So it goes without alpha there, until that is given back."""
    settings = ("stealth_pnginfo_option", "stealth_pnginfo_opt")  # Forge's and reForge's
    if not is_marked(picture) or all(hosts.option(key, "") != "RGB" for key in settings):
        return picture
    opaque = picture.convert("RGB")
    setattr(opaque, ATTRIBUTE, getattr(picture, ATTRIBUTE))
    return opaque


def give_back(picture: Any) -> bool:
    """Put the alpha back into a marked picture, in place; whether it was one."""
    alpha = getattr(picture, ATTRIBUTE, None)
    if alpha is None or picture.size != alpha.size:
        return False
    picture.putalpha(alpha)
    return True


def is_marked(picture: Any) -> bool:
    """Whether it is a cutout of ours."""
    return hasattr(picture, ATTRIBUTE)


def put_beside(picture: Image, mask: Image) -> None:
    """Let a mask be saved with a picture, where hosts know of one result only."""
    setattr(picture, BESIDE, mask)


def before_image_saved(params: Any) -> None:
    """Give a marked picture its alpha back, and a name of a format that keeps it."""
    mask = getattr(params.image, BESIDE, None)
    _prepare(params)
    if mask is not None:
        getattr(mask, MASK).save(f"{os.path.splitext(params.filename)[0]}-mask.png")


def _prepare(params: Any) -> None:
    if hasattr(params.image, MASK):
        params.image = getattr(params.image, MASK)
    elif not give_back(params.image) and not _is_ours(params):
        return
    root, suffix = os.path.splitext(params.filename)
    if suffix.lower() in LOSSY:
        params.filename = root + ".png"
    params.filename = _NAMES.free(params.filename, str(hosts.job_stamp()))


class _Names:
    """Files of the job that runs: hosts give a.png and a.jpg of a folder the same name."""

    def __init__(self) -> None:
        self._job, self._taken = "", set[str]()

    def free(self, path: str, job: str) -> str:
        """The path, or with a number if this job has written it already."""
        if job != self._job:
            self._job, self._taken = job, set()
        root, suffix = os.path.splitext(path)
        chosen, number = path, 2
        while os.path.normcase(chosen) in self._taken:
            chosen, number = f"{root}_{number}{suffix}", number + 1
        self._taken.add(os.path.normcase(chosen))
        return chosen


_NAMES = _Names()


def _is_ours(params: Any) -> bool:
    """A transparent picture that lost its mark on the way, as by the gallery's save button."""
    text = (getattr(params, "pnginfo", None) or {}).values()
    if not any(entry in str(value) for value in text for entry in INFOTEXTS):
        return False
    return params.image.mode == "RGBA" and params.image.getchannel("A").getextrema()[0] < STEALTHY


def image_grid(params: Any) -> None:
    """Grids have no alpha: show cutouts on white there, not the colours beneath it."""
    params.imgs = [on_white(image) if is_marked(image) else image for image in params.imgs]


def on_white(cutout: Image) -> Image:
    """RGB."""
    give_back(cutout)
    from ..toonout_core.imaging import from_pil, to_pil
    from ..toonout_core.ops.compositing import over, parse_colour

    picture = from_pil(cutout)
    assert picture.alpha is not None
    return to_pil(over(picture.image, picture.alpha, parse_colour("white")))
