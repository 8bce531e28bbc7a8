"""What the tests cut out: small, and quick for the embedded model."""

from __future__ import annotations

import base64
import io

from PIL import Image, ImageDraw

QUICK = {"resolution": 64}


def girl(size=(96, 128), mode="RGB"):
    """Skin, hair, a face and a dress before a blue wall, drawn large and made smaller."""
    width, height = 4 * size[0], 4 * size[1]
    picture = Image.new("RGB", (width, height), (60, 120, 220))
    draw = ImageDraw.Draw(picture)
    hair, skin, ink, line = (90, 40, 30), (250, 220, 200), (30, 20, 30), max(2, width // 60)

    def box(*shares):
        return [share * side for share, side in zip(shares, (width, height) * 2, strict=True)]

    def corners(*shares):
        return [(x * width, y * height) for x, y in shares]

    outlined = {"outline": ink, "width": line}
    draw.polygon(corners((0.3, 0.2), (0.7, 0.2), (0.78, 0.62), (0.22, 0.62)), hair, **outlined)
    dress = corners((0.36, 0.56), (0.64, 0.56), (0.82, 1), (0.18, 1))
    draw.polygon(dress, (200, 30, 50), **outlined)
    draw.ellipse(box(0.45, 0.48, 0.55, 0.62), skin)
    draw.ellipse(box(0.3, 0.1, 0.7, 0.55), hair, **outlined)
    draw.ellipse(box(0.34, 0.2, 0.66, 0.54), skin, **outlined)
    draw.pieslice(box(0.3, 0.1, 0.7, 0.5), 180, 360, hair)
    for x in (0.43, 0.57):
        draw.ellipse(box(x - 0.05, 0.33, x + 0.05, 0.44), (255, 255, 255), **outlined)
        draw.ellipse(box(x - 0.03, 0.345, x + 0.03, 0.435), (40, 60, 140))
    draw.arc(box(0.45, 0.42, 0.55, 0.5), 20, 160, (150, 40, 50), line)
    return picture.resize(size, Image.Resampling.LANCZOS).convert(mode)


def encoded(picture, format="PNG"):
    """Base64 of a file."""
    stream = io.BytesIO()
    picture.save(stream, format)
    return base64.b64encode(stream.getvalue()).decode()


def opened(text):
    """The picture of base64."""
    return Image.open(io.BytesIO(base64.b64decode(text)))
