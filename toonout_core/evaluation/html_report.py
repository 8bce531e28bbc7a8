"""Write one page that says how good mattes are and shows where they fail; it needs no
other file.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from torch import Tensor

from ..errors import ToonOutError
from ..imaging import read
from ..ops.eight_bit import resize_eight_bit
from ..ops.resizing import resize
from ..output.writing import encode
from .charts import bar_chart, curve_chart, legend
from .error_maps import LOUD, MISSING, SURPLUS, error_map, over_loud_colour
from .matting_metrics import COLUMNS
from .measuring import Measured, Method
from .pairing import read_matte
from .tables import Table, head, measured, notes, shown, tables

_ADVICE = (
    "The first table has the figures of the papers, which binarise the truth. "
    "For soft mattes trust the table named so."
)
_BARS = ("PA_clipped", "BIoU_soft", "MAE_soft", "SAD", "Grad", "Conn", "S", "WF")
_CURVES = {"F": "F-measure", "E": "E-measure", "BIoU": "Boundary IoU"}
_PANEL_PX = 270  # longer side of a picture in the gallery
_RANKED_BY = ("MAE_soft", "SAD", "PSNR", "BIoU_soft", "PA_clipped", "IoU")

_STYLE = """
:root{color-scheme:light dark;--line:#8884}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem}
h1{font-size:1.7rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child{text-align:left}th{vertical-align:bottom;max-width:9rem}
.wide{overflow-x:auto}.charts{display:flex;flex-wrap:wrap;gap:1.2rem 1.5rem;margin:1rem 0 2rem}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
svg .title{font-weight:600;font-size:13px}svg .grid{stroke:currentColor;opacity:.2}
.legend span{margin-right:1.2rem;white-space:nowrap}
.legend i,.key i{display:inline-block;width:.9em;height:.9em;margin-right:.35em}
.picture{border-top:1px solid var(--line);padding:.6rem 0}
.picture h3{margin:.2rem 0;font-size:1rem;overflow-wrap:anywhere}
.panels,.panels div{display:flex;flex-wrap:wrap;gap:.6rem}.panels{gap:.6rem 1.4rem}figure{margin:0}
figure img{display:block;max-width:100%;background:#888}
figcaption{font-size:.85rem;max-width:270px}.note{border-left:4px solid #e69f00;padding-left:.8rem}
.problems li{overflow-wrap:anywhere}footer{margin-top:3rem;opacity:.7;font-size:.85rem}
"""


@dataclass(frozen=True)
class Page:
    """`title` and `facts` are plain text; `problems`: (picture, sentence)."""

    title: str
    facts: Sequence[str]
    methods: Sequence[Method]
    categories: Sequence[str]
    problems: Sequence[tuple[str, str]]


def html_report(page: Page, gallery: int = 12) -> str:
    """Return the page as text; `gallery`: how many of the worst pictures it shows."""
    parts = [
        f"<h1>{escape(page.title)}</h1>",
        "".join(f"<p>{escape(fact)}</p>" for fact in page.facts),
        _problems(page.problems),
        "<h2>Figures</h2>",
        *(f'<p class="note">{escape(note)}</p>' for note in notes(page.methods)),
        f"<p>{_ADVICE}</p>",
        *(_table(table) for table in tables(page.methods, page.categories)),
        _charts(page.methods),
        _gallery(page.methods, gallery),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _problems(problems: Sequence[tuple[str, str]]) -> str:
    if not problems:
        return ""
    items = "".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in problems)
    return f'<h2>Not measured ({len(problems)})</h2><ul class="problems">{items}</ul>'


def _table(table: Table) -> str:
    header = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{'<b>' * bold}{escape(cell)}{'</b>' * bold}</td>"
            for column, cell in enumerate(cells)
            for bold in [(row, column) in table.best]
        )
        + "</tr>"
        for row, cells in enumerate(table.rows)
    )
    caption = f"<caption>{escape(table.title)}</caption>"
    return f'<div class="wide"><table>{caption}<tr>{header}</tr>{rows}</table></div>'


# ---------------------------------------------------------------- charts


def _charts(methods: Sequence[Method]) -> str:
    names = [method.name for method in methods]
    means = [method.mean() for method in methods]
    bars: list[str] = []
    for column in measured(methods, _BARS):
        values = [None if mean is None else mean.values[column] for mean in means]
        known = [v if v is not None and math.isfinite(v) else None for v in values]
        labels = ["–" if value is None else shown(column, value) for value in known]
        better = "lower" if COLUMNS[column].lower_is_better else "higher"
        bars.append(bar_chart(f"{head(column)}, {better} is better", names, known, labels))
    bars += _cost_charts(methods)
    curves = [
        curve_chart(
            f"{title} (%) by threshold",
            names,
            [None if mean is None else mean.curves[key] for mean in means],
        )
        for key, title in _CURVES.items()
        if any(mean and key in mean.curves for mean in means)
    ]
    return (
        f'<h2>Charts</h2>{legend(names)}<div class="charts">{"".join(bars)}</div>'
        f'<div class="charts">{"".join(curves)}</div>'
    )


def _cost_charts(methods: Sequence[Method]) -> list[str]:
    names = [method.name for method in methods]
    seconds = [method.seconds for method in methods]
    memory = [None if m.peak_bytes is None else m.peak_bytes / 2**20 for m in methods]
    charts: list[str] = []
    if any(value is not None for value in seconds):
        labels = ["–" if value is None else f"{value:.3f}" for value in seconds]
        charts.append(bar_chart("Seconds a picture", names, seconds, labels))
    if any(value is not None for value in memory):
        labels = ["–" if value is None else f"{value:.0f}" for value in memory]
        charts.append(bar_chart("Peak memory, MiB", names, memory, labels))
    return charts


# ---------------------------------------------------------------- gallery


def _gallery(methods: Sequence[Method], count: int) -> str:
    ranked = measured(methods, (*_RANKED_BY, *COLUMNS))
    if not ranked or count < 1:
        return ""
    column, rows = ranked[0], _worst(methods, ranked[0])[:count]
    key = (
        f'<p class="key">Mattes over {LOUD}, and their errors: '
        f'<i style="background:{MISSING}"></i>missing '
        f'<i style="background:{SURPLUS}"></i>too much; worst first by {escape(head(column))}.</p>'
    )
    pictures = "".join(_picture(name, methods, column) for name in rows)
    return f"<h2>The worst pictures</h2>{key}{pictures}"


def _worst(methods: Sequence[Method], column: str) -> list[str]:
    """Name the pictures, worst first, by the worst matte that any method made of each."""
    sign = 1 if COLUMNS[column].lower_is_better else -1
    worst: dict[str, float] = {}
    for method in methods:
        for row in method.rows:
            value = sign * row.scores.values[column]
            if math.isfinite(value):
                worst[row.pair.name] = max(worst.get(row.pair.name, -math.inf), value)
    return sorted(worst, key=lambda name: (-worst[name], name))


def _picture(name: str, methods: Sequence[Method], column: str) -> str:
    rows = [(m, row) for m in methods for row in m.rows if row.pair.name == name]
    try:
        panels = _panels(rows, column)
    except (ToonOutError, OSError) as error:  # a file that has gone meanwhile
        panels = [f"<p>{escape(str(error))}</p>"]
    return (
        f'<div class="picture"><h3>{escape(name)}</h3>'
        f'<div class="panels">{"".join(panels)}</div></div>'
    )


def _panels(rows: Sequence[tuple[Method, Measured]], column: str) -> list[str]:
    first = rows[0][1]
    truth = read_matte(first.pair.truth)
    image = _image(first.image or first.pair.source, truth)
    seen = "" if image is None else _figure(image, "picture")
    panels = [f"<div>{seen}{_figure(over_loud_colour(truth, image), 'truth')}</div>"]
    for method, row in rows:
        if row.matte is None:
            continue
        matte = read_matte(row.matte)
        if matte.shape != truth.shape:
            matte = resize_eight_bit(matte, (int(truth.shape[-2]), int(truth.shape[-1])))
        text = f"{method.name}: {shown(column, row.scores.values[column])}"
        cutout = _figure(over_loud_colour(matte, image), text)
        errors = _figure(error_map(matte, truth, image), f"errors of {method.name}")
        panels.append(f"<div>{cutout}{errors}</div>")
    return panels


def _image(path: Path, truth: Tensor) -> Tensor | None:
    """Return the picture at the truth's size; None for a matte, which has no colours."""
    image = read(path).image
    if float((image - image.mean(1, keepdim=True)).abs().max()) < 0.01:
        return None
    return resize(image, (int(truth.shape[-2]), int(truth.shape[-1])))


def _figure(image: Tensor, caption: str) -> str:
    height, width = int(image.shape[-2]), int(image.shape[-1])
    scale = min(1.0, _PANEL_PX / max(height, width))
    small = resize(image, (max(round(height * scale), 1), max(round(width * scale), 1)))
    stream = io.BytesIO()
    encode(stream, small, format="webp", quality=85)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return (
        f'<figure><img alt="{escape(caption, quote=True)}" width="{small.shape[-1]}" '
        f'height="{small.shape[-2]}" src="data:image/webp;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
