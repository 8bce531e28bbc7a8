"""What the tests cut out: small, and quick for the embedded model."""

from __future__ import annotations

import base64
import io

from PIL import Image, ImageDraw

QUICK = {"resolution": 64}


def girl(size=(96, 128), mode="RGB"):
    """Skin, hair and a dress before a blue wall."""
    picture = Image.new("RGB", size, (60, 120, 220))
    draw = ImageDraw.Draw(picture)
    width, height = size
    draw.polygon(
        [(width * 0.35, height * 0.5), (width * 0.65, height * 0.5), (width * 0.8, height),
         (width * 0.2, height)], fill=(200, 30, 50),
    )  # fmt: skip
    draw.ellipse((width * 0.3, height * 0.15, width * 0.7, height * 0.55), fill=(40, 20, 20))
    draw.ellipse((width * 0.35, height * 0.22, width * 0.65, height * 0.52), fill=(250, 220, 200))
    return picture.convert(mode)


def encoded(picture, format="PNG"):
    """Base64 of a file."""
    stream = io.BytesIO()
    picture.save(stream, format)
    return base64.b64encode(stream.getvalue()).decode()


def opened(text):
    """The picture of base64."""
    return Image.open(io.BytesIO(base64.b64decode(text)))
