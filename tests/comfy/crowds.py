"""Pictures with as many separate characters as a test wants, drawn from the example that ships."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from PIL import Image

from toonout_core import load_matting

EXAMPLE = Path(__file__).resolve().parents[2] / "toonout_core" / "assets" / "example.webp"
BEHIND = (206, 214, 226)


@cache
def _cutout() -> Image.Image:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with Image.open(EXAMPLE) as picture:
        cutout = load_matting("toonout-mini")(picture.convert("RGB")).cutout()
    torch.set_num_threads(threads)
    return cutout.crop((220, 230, 540, 1024))


def crowd(count: int, width: int, height: int) -> Image.Image:
    """The girl of the example side by side, each in other colours, on a plain ground."""
    scene = Image.new("RGB", (width, height), BEHIND)
    girl = _cutout()
    tall = round(height * 0.86)
    girl = girl.resize((round(girl.width * tall / girl.height), tall))
    red, green, blue, alpha = girl.split()
    orders = ((red, green, blue), (green, blue, red), (blue, red, green))
    for number in range(count):
        coloured = Image.merge("RGB", orders[number % 3])
        left = round(width * (number + 0.5) / count - girl.width / 2)
        scene.paste(coloured, (left, height - tall), alpha)
    return scene
