"""Draw icon and banner for the registry, and a background to try with: `python tools/brand.py`.

SVG is what is drawn; the registry shows PNG, which resvg makes of it.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
ICON_PX = 400
BANNER_PX = (1260, 540)  # 21:9, as the registry asks
SQUARE_PX = 25  # of the pattern that stands for transparency

_INK, _HAIR, _SHADE, _SKIN = "#22304a", "#ff7a59", "#e55a3c", "#ffe3d1"
_SKY, _DRESS, _EYE, _LIGHT = "#6ec6e8", "#4059ad", "#2b7a78", "#ffffff"

# a girl from the shoulders up, on 400 × 400
_GIRL = f"""
<g stroke="{_INK}" stroke-width="9" stroke-linejoin="round" stroke-linecap="round">
<path fill="{_SHADE}" d="M96 214C80 292 92 340 70 372C120 384 142 356 146 350L254 350
C258 356 280 384 330 372C308 340 320 292 304 214Z"/>
<path fill="{_DRESS}" d="M84 420C88 356 130 332 164 326C176 350 224 350 236 326
C270 332 312 356 316 420Z"/>
<path fill="{_SKIN}" d="M172 286L172 328C184 348 216 348 228 328L228 286Z"/>
<path fill="{_SKIN}" d="M112 190C108 260 148 308 200 308C252 308 292 260 288 190
C284 120 116 120 112 190Z"/>
<path fill="{_HAIR}" d="M98 232C72 128 116 52 200 52C284 52 328 128 302 232C296 208 290 190 278 172
C274 190 268 198 260 206C256 184 248 166 238 152C230 178 206 196 172 204C178 190 180 178 180 166
C160 176 146 190 140 210C132 202 128 190 126 178C112 194 104 212 98 232Z"/>
<path fill="{_HAIR}" d="M196 54C178 30 190 14 216 12C206 24 208 38 216 52"/>
<path fill="none" d="M184 276C194 284 206 284 216 276"/>
</g>
<g fill="{_EYE}" stroke="{_INK}" stroke-width="7">
<ellipse cx="158" cy="232" rx="16" ry="22"/><ellipse cx="242" cy="232" rx="16" ry="22"/>
</g>
<g fill="{_LIGHT}"><circle cx="164" cy="223" r="7"/><circle cx="248" cy="223" r="7"/></g>
<g fill="#ff9d8a" opacity="0.7"><ellipse cx="134" cy="264" rx="13" ry="7"/>
<ellipse cx="266" cy="264" rx="13" ry="7"/></g>
"""

# T o o n O u t, as strokes of one pen: no font is needed
_LETTERS = """
<g fill="none" stroke="#22304a" stroke-width="26" stroke-linecap="round" stroke-linejoin="round">
<path d="M13 13H125M69 13V157"/><circle cx="166" cy="116" r="41"/><circle cx="282" cy="116" r="41"/>
<path d="M357 157V75M357 110C357 65 425 65 425 110V157"/>
<g stroke="#ff7a59"><ellipse cx="520" cy="85" rx="62" ry="72"/>
<path d="M616 75V122C616 168 684 168 684 122M684 75V157"/>
<path d="M745 30V130C745 152 756 158 774 156M722 75H772"/></g></g>
"""


def _pattern() -> str:
    """Two greys in squares, which stand for transparency everywhere."""
    side = SQUARE_PX
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="#d3d9e2"/>'
        for x, y in ((0, 0), (side, side))
    )
    return (
        f'<pattern id="clear" width="{2 * side}" height="{2 * side}" '
        f'patternUnits="userSpaceOnUse"><rect width="{2 * side}" height="{2 * side}" '
        f'fill="#f6f8fb"/>{squares}</pattern>'
    )


def _scene(width: int, height: int, cut: int) -> str:
    """Sky and a hill up to `cut`, transparency behind it."""
    return f"""<rect width="{width}" height="{height}" fill="url(#clear)"/>
<path fill="{_SKY}" d="M0 0H{cut}L{cut - 60} {height}H0Z"/>
<path fill="#a8dcb5" d="M0 {height * 0.76:.0f}C{cut // 3} {height * 0.6:.0f} {cut // 2}
 {height * 0.86:.0f} {cut - 42} {height * 0.7:.0f}L{cut - 60} {height}H0Z"/>
<path stroke="{_INK}" stroke-width="7" stroke-dasharray="22 16" d="M{cut} 0L{cut - 60} {height}"/>
"""


def icon() -> str:
    """A girl who is half in her scene and half cut out, in a rounded square."""
    return _svg(
        (ICON_PX, ICON_PX),
        f'<clipPath id="round"><rect width="400" height="400" rx="72"/></clipPath>'
        f'<g clip-path="url(#round)">{_scene(400, 400, 230)}{_GIRL}</g>',
    )


def banner() -> str:
    """The same girl beside the name."""
    width, height = BANNER_PX
    return _svg(
        BANNER_PX,
        f'{_scene(width, height, 330)}<g transform="translate(60 60) scale(1.2)">{_GIRL}</g>'
        f'<rect x="500" y="160" width="700" height="220" rx="40" fill="#ffffff" opacity="0.92"/>'
        f'<g transform="translate(550 204) scale(0.76)">{_LETTERS}</g>',
    )


def meadow() -> str:
    """A landscape without characters, to put some before it."""
    clouds = "".join(
        f'<g transform="translate({x} {y}) scale({size})"><ellipse rx="90" ry="34"/>'
        f'<ellipse cx="-52" cy="-20" rx="48" ry="36"/><ellipse cx="26" cy="-32" rx="62" ry="46"/>'
        f"</g>"
        for x, y, size in ((190, 150, 1.0), (610, 96, 0.7), (880, 210, 1.1))
    )
    trees = "".join(
        f'<g transform="translate({x} {y}) scale({size})"><path fill="#8a5a3c" d="M-9 0L-6 -70H6'
        f'L9 0Z"/><circle cy="-100" r="52" fill="#3f8f5b"/><circle cx="-16" cy="-114" r="30" '
        f'fill="#57ab6e"/></g>'
        for x, y, size in ((130, 540, 1.0), (250, 508, 0.6), (830, 500, 0.8), (940, 548, 1.2))
    )
    flowers = "".join(
        f'<circle cx="{(37 + 397 * i) % 1024}" cy="{620 + (89 * i) % 140}" r="{4 + i % 4}" '
        f'fill="{("#ffffff", "#ffd166", "#ff9fb2")[i % 3]}"/>'
        for i in range(44)
    )
    return _svg(
        (1024, 768),
        '<linearGradient id="sky" x2="0" y2="1"><stop stop-color="#4aa8e0"/>'
        '<stop offset="0.7" stop-color="#d9f1fb"/></linearGradient>'
        '<rect width="1024" height="768" fill="url(#sky)"/>'
        f'<circle cx="760" cy="150" r="56" fill="#fff3c4"/><g fill="#ffffff">{clouds}</g>'
        '<path fill="#8fb8c9" d="M0 470L170 330L290 420L430 300L610 450L760 350L1024 480V768H0Z"/>'
        '<path fill="#9ed08c" d="M0 500C220 420 420 520 600 480C780 440 900 470 1024 460V768H0Z"/>'
        f'{trees}<path fill="#7cbf6b" d="M0 590C260 520 520 620 1024 560V768H0Z"/>'
        f'{flowers}<path fill="#ead9b0" d="M470 768C500 690 640 650 560 600C540 584 566 578 590 576'
        f'C700 610 640 690 700 768Z"/>',
    )


def drawings() -> dict[str, str]:
    """SVG by name."""
    return {"icon": icon(), "banner": banner()}


def as_png(svg: str) -> bytes:
    """PNG of the size that the SVG names."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg))


def _svg(size: tuple[int, int], inner: str) -> str:
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><defs>{_pattern()}</defs>{inner}</svg>\n'
    )


if __name__ == "__main__":
    for name, svg in drawings().items():
        (IMAGES / f"{name}.svg").write_text(svg, "utf-8")
        (IMAGES / f"{name}.png").write_bytes(as_png(svg))
    with Image.open(io.BytesIO(as_png(meadow()))) as picture:
        picture.convert("RGB").save(EXAMPLES / "meadow.webp", quality=90, method=6)
