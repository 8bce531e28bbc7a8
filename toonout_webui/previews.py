"""Small HTML of ours: sentences, tables, and the before/after slider."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Literal

from torch import Tensor

from ..toonout_core import Matte
from ..toonout_core.ops.compositing import checkerboard, over
from ..toonout_core.ops.resizing import resize
from ..toonout_core.output.writing import encode

LONGEST_PX = 1024

# the host inserts HTML without running scripts in it, but attributes of elements work
SLIDER = """\
<div class="toonout-slider" style="--toonout-cut: 50%; --toonout-shape: {shape:.3f}">
<img alt="after" src="{after}"><img alt="before" class="toonout-before" src="{before}">
<input type="range" min="0" max="100" value="50" aria-label="before and after"
 oninput="this.parentNode.style.setProperty('--toonout-cut', this.value + '%')">
</div>"""

Mood = Literal["", "good", "bad"]


def sentence(text: str, mood: Mood = "") -> str:
    """A line of status."""
    lines = "<br>".join(html.escape(line) for line in text.splitlines())
    return f'<p class="toonout-status {mood}">{lines}</p>' if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of text."""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="toonout-table"><tr>{cells}</tr>{body}</table>'


def slider(matte: Matte, behind: Tensor | None) -> str:
    """The picture, and beneath it the result on its background or on a checkerboard."""
    image, colours, alpha = (small(t) for t in (matte.image, matte.colours, matte.alpha))
    size_hw = (int(image.shape[-2]), int(image.shape[-1]))
    ground = checkerboard(size_hw) if behind is None else small(behind)
    after = over(colours, alpha, ground)
    shape = size_hw[1] / size_hw[0]  # style.css keeps what is below it in sight
    return SLIDER.format(before=_data_uri(image), after=_data_uri(after), shape=shape)


def picture(image: Tensor) -> str:
    """The first item of B×3×H×W, made small."""
    return f'<img alt="preview" class="toonout-preview" src="{_data_uri(small(image[:1]))}">'


def small(image: Tensor) -> Tensor:
    """B×C×H×W with sides of at most LONGEST_PX."""
    height, width = int(image.shape[-2]), int(image.shape[-1])
    scale = LONGEST_PX / max(height, width)
    if scale >= 1:
        return image
    size_hw = (max(1, round(height * scale)), max(1, round(width * scale)))
    return resize(image, size_hw).clamp(0, 1)


def _data_uri(image: Tensor) -> str:
    stream = io.BytesIO()
    encode(stream, image, format="jpg", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
