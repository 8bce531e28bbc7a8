"""Write measurements as tables: Markdown, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .matting_metrics import COLUMNS, MatteScores
from .measuring import Measured, Method

# the columns of ToonOut's Tables 1 and 2, and what to trust for soft mattes
PUBLISHED = ("PA", "BIoU", "WF", "E", "S", "MAE", "F")
PUBLISHED_BY_CATEGORY = ("PA", "BIoU", "WF")
SOUND = ("PA_clipped", "BIoU_soft", "MAE_soft", "SAD", "Grad", "Conn", "PSNR")
FURTHER = (
    "IoU",
    "MBA",
    "HCE",
    "F_max",
    "F_adaptive",
    "E_max",
    "E_adaptive",
    "BIoU_max",
    "MSE",
    "MSE_soft",
)

_HEADS = {
    "BIoU": "mBIoU",
    "PA_clipped": "PA clipped",
    "BIoU_soft": "soft BIoU",
    "MAE_soft": "soft MAE",
    "MSE_soft": "soft MSE",
}
_EXCESS = 0.01  # the published E may be above one by a pixel's worth
_DECIMALS = {"%": 1, "": 4, "dB": 2, "k px": 3, "actions": 1}


@dataclass(frozen=True)
class Table:
    """Cells as text; `best`: (row, column) of the leading values."""

    title: str
    header: list[str]
    rows: list[list[str]]
    best: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def markdown(self) -> str:
        """Write a heading and the table, with leading values in bold."""
        lines = [f"### {self.title}", "", "| " + " | ".join(map(_cell, self.header)) + " |"]
        lines.append("|---" + "|---:" * (len(self.header) - 1) + "|")
        for i, row in enumerate(self.rows):
            cells = (f"**{c}**" if (i, j) in self.best else _cell(c) for j, c in enumerate(row))
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def tables(methods: Sequence[Method], categories: Sequence[str]) -> list[Table]:
    """Return all tables that say something; the categories get one only where there are several."""
    found = [_overall("As published", methods, PUBLISHED)]
    if len(categories) > 1:
        found.append(_by_category("As published", methods, categories, PUBLISHED_BY_CATEGORY))
    found.append(_overall("Sound for soft mattes", methods, SOUND))
    if len(categories) > 1:
        found.append(_by_category("Sound for soft mattes", methods, categories, SOUND[:3]))
    found.append(_overall("Further", methods, FURTHER))
    if any(method.seconds is not None for method in methods):
        found.append(_costs(methods))
    return [table for table in found if table.rows]


def notes(methods: Sequence[Method]) -> list[str]:
    """Tell what one should know before believing the tables."""
    found: list[str] = []
    if len({frozenset(row.pair.name for row in method.rows) for method in methods}) > 1:
        found.append("The methods were not measured on the same pictures: compare with care.")
    for method in methods:
        ruined = sum(row.scores.values.get("PA", 0) > 1 for row in method.rows)
        undefined = sum(
            any(not math.isfinite(value) for value in row.scores.values.values())
            for row in method.rows
        )
        resized = sum(bool(row.note) for row in method.rows)
        if ruined:
            found.append(
                f"{method.name}: the published PA is above 100 % on {_pictures(ruined)}, where "
                "more is wrong than the character is large. Read PA clipped."
            )
        if undefined:
            found.append(
                f"{method.name}: some figures are not defined on {_pictures(undefined)} (a truth "
                "without a character or outline) and are left out of their means."
            )
        if resized:
            found.append(f"{method.name}: the mattes of {_pictures(resized)} were resized.")
    return found


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def shown(column: str, value: float) -> str:
    """Spell a value in its column's unit; shares in percent without the sign."""
    unit = COLUMNS[column].unit
    if math.isnan(value):
        return "–"
    return f"{value * (100 if unit == '%' else 1):.{_DECIMALS[unit]}f}"


def head(column: str) -> str:
    """Return the column's name as in the published tables, with its unit."""
    unit = COLUMNS[column].unit
    return _HEADS.get(column, column.replace("_", " ")) + (f" ({unit})" if unit else "")


def measured(methods: Sequence[Method], columns: Iterable[str]) -> list[str]:
    """Return those of `columns` that were measured."""
    known = {name for method in methods for row in method.rows for name in row.scores.values}
    return [column for column in columns if column in known]


def _overall(title: str, methods: Sequence[Method], columns: Sequence[str]) -> Table:
    columns = measured(methods, columns)
    means = [method.mean() for method in methods]
    rows = [
        [method.name, str(len(method.rows)), *(_figure(mean, name) for name in columns)]
        for method, mean in zip(methods, means, strict=True)
        if columns
    ]
    best = {
        (row, place)
        for place, name in enumerate(columns, 2)
        for row in _leaders(name, [_value(mean, name) for mean in means])
    }
    return Table(title, ["method", "n", *map(head, columns)], rows, best)


def _by_category(
    title: str, methods: Sequence[Method], categories: Sequence[str], columns: Sequence[str]
) -> Table:
    """Make a row for each category; the methods stand beside each other, each with all columns."""
    columns = measured(methods, columns)
    rows: list[list[str]] = []
    best: set[tuple[int, int]] = set()
    for index, category in enumerate(categories if columns else []):
        means = [method.mean(category) for method in methods]
        count = max(sum(row.pair.category == category for row in m.rows) for m in methods)
        cells = [_figure(mean, name) for mean in means for name in columns]
        rows.append([category or "(none)", str(count), *cells])
        for place, name in enumerate(columns, 2):
            leaders = _leaders(name, [_value(mean, name) for mean in means])
            best |= {(index, place + leader * len(columns)) for leader in leaders}
    header = [f"{m.name}: {head(name)}" for m in methods for name in columns]
    return Table(f"{title}, by category", ["category", "n", *header], rows, best)


def _costs(methods: Sequence[Method]) -> Table:
    header = ["method", "s a picture", "device", "peak memory (MiB)", "weights (MiB)"]
    rows = [
        [
            method.name,
            "–" if method.seconds is None else f"{method.seconds:.3f}",
            method.device or "–",
            *(
                "–" if size is None else f"{size / 2**20:.0f}"
                for size in (method.peak_bytes, method.file_bytes)
            ),
        ]
        for method in methods
    ]
    return Table("Time and memory", header, rows)


def _value(mean: MatteScores | None, column: str) -> float:
    return math.nan if mean is None else mean.values.get(column, math.nan)


def _figure(mean: MatteScores | None, column: str) -> str:
    return shown(column, _value(mean, column))


def _leaders(column: str, values: Sequence[float]) -> list[int]:
    """Find who is best as shown; nobody where there is nothing to compare.

    A share above one, as the published PA can be, is of ruined mattes, and does not lead.
    """
    most = math.inf if COLUMNS[column].unit != "%" else 1 + _EXCESS
    texts = {i: shown(column, v) for i, v in enumerate(values) if math.isfinite(v) and v <= most}
    if len(values) < 2 or not texts or len(set(texts.values())) == 1:
        return []
    choose = min if COLUMNS[column].lower_is_better else max
    leading = texts[choose(texts, key=lambda i: values[i])]
    return [i for i, text in texts.items() if text == leading]


# ---------------------------------------------------------------- files


def as_csv(methods: Sequence[Method]) -> str:
    """Write a row for each picture and method; empty where a value is not defined."""
    columns = measured(methods, COLUMNS)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["method", "category", "picture", *columns, "seconds", "note"])
    for method in methods:
        for row in method.rows:
            figures = [_plain(row.scores.values[name]) for name in columns]
            writer.writerow(
                [method.name, row.pair.category, row.pair.name, *figures, row.seconds, row.note]
            )
    return stream.getvalue()


def as_json(
    methods: Sequence[Method],
    categories: Sequence[str],
    problems: Sequence[tuple[str, str]],
    about: dict[str, Any],
) -> str:
    """Write everything, curves too; null where a value is not defined."""
    content = {
        **about,
        "methods": [_described(method, categories) for method in methods],
        "problems": [{"picture": name, "message": text} for name, text in problems],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _described(method: Method, categories: Sequence[str]) -> dict[str, Any]:
    mean = method.mean()
    by_category = {category: method.mean(category) for category in categories}
    return {
        "name": method.name,
        "pictures": len(method.rows),
        "device": method.device or None,
        "seconds": method.seconds,
        "peak_bytes": method.peak_bytes,
        "file_bytes": method.file_bytes,
        "mean": _figures(mean),
        "categories": {name: _figures(scores) for name, scores in by_category.items()},
        "curves": {} if mean is None else {k: v.tolist() for k, v in mean.curves.items()},
        "rows": [_row(row) for row in method.rows],
        "problems": [{"picture": name, "message": text} for name, text in method.problems],
    }


def _row(row: Measured) -> dict[str, Any]:
    return {
        "picture": row.pair.name,
        "category": row.pair.category,
        "seconds": row.seconds,
        "note": row.note,
        "scores": _figures(row.scores),
    }


def _figures(scores: MatteScores | None) -> dict[str, float | None]:
    return {} if scores is None else {k: _plain(v) for k, v in scores.values.items()}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
