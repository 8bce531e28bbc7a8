"""Draw charts as SVG that stands in a page by itself: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..words import Array

# Okabe and Ito 2008, told apart with every kind of colour vision
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7000", "#666666")
# curves that lie on each other can all be seen
_DASHES = ("none", "9 7", "3 5", "14 4 3 4")

_LAST = 255  # threshold
_BAR_PX, _GAP_PX = 16, 6
_WIDTH_PX, _NAME_PX, _VALUE_PX = 370, 110, 60


def colour_of(index: int) -> str:
    """Return the colour that the n-th method has everywhere in a page."""
    return COLOURS[index % len(COLOURS)]


def bar_chart(
    title: str, names: Sequence[str], values: Sequence[float | None], labels: Sequence[str]
) -> str:
    """Draw horizontal bars from 0 on, each with its name and value; None has no bar."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    space = _WIDTH_PX - _NAME_PX - _VALUE_PX
    parts = [f'<text class="title" x="0" y="13">{escape(title)}</text>']
    for index, (name, value, label) in enumerate(zip(names, values, labels, strict=True)):
        y = 24 + index * (_BAR_PX + _GAP_PX)
        width = 0.0 if value is None else max(value, 0.0) / top * space
        middle = y + _BAR_PX - 4
        parts += [
            f'<text x="{_NAME_PX - 6}" y="{middle}" text-anchor="end">{_short(name)}</text>',
            f'<rect x="{_NAME_PX}" y="{y}" width="{width:.1f}" height="{_BAR_PX}" '
            f'fill="{colour_of(index)}"/>',
            f'<text x="{_NAME_PX + width + 5:.1f}" y="{middle}">{escape(label)}</text>',
        ]
    height = 24 + len(names) * (_BAR_PX + _GAP_PX)
    return _svg(_WIDTH_PX, height, title, parts)


def _short(name: str, letters: int = 16) -> str:
    shown = name if len(name) <= letters else name[: letters - 1] + "…"
    return f"{escape(shown)}<title>{escape(name)}</title>"


def curve_chart(title: str, names: Sequence[str], curves: Sequence[Array | None]) -> str:
    """Draw 256 values in [0, 1], at thresholds 255 … 0, over the threshold, 0 to 255."""
    left, top, width, height = 36, 24, 310, 190
    parts = [f'<text class="title" x="0" y="13">{escape(title)}</text>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y = top + height * (1 - tick)
        parts += [
            f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * tick:.0f}</text>',
        ]
    for tick in (0, 64, 128, 192, 255):
        x = left + width * tick / _LAST
        parts.append(
            f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">{tick}</text>'
        )
    for index, (name, curve) in enumerate(zip(names, curves, strict=True)):
        if curve is None:
            continue
        points = " ".join(
            f"{left + width * step / _LAST:.1f},{top + height * (1 - min(float(value), 1)):.1f}"
            for step, value in enumerate(curve[::-1])
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour_of(index)}" '
            f'stroke-width="2" stroke-dasharray="{_DASHES[index % len(_DASHES)]}">'
            f"<title>{escape(name)}</title></polyline>"
        )
    return _svg(left + width + 24, top + height + 24, title, parts)


def legend(names: Sequence[str]) -> str:
    """Say which colour is which method."""
    entries = (
        f'<span><i style="background:{colour_of(index)}"></i>{escape(name)}</span>'
        for index, name in enumerate(names)
    )
    return f'<p class="legend">{" ".join(entries)}</p>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title, quote=True)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    )
