"""The figures of a run as a table and as a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import Tensor

from ..imaging import from_array
from ..words import Array

Row = Mapping[str, float]

_PAPER, _INK, _GRID = (250, 250, 250), (40, 40, 40), (222, 222, 222)
# Okabe and Ito 2008, told apart with every kind of colour vision
_COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0))
_WIDTH_PX, _HEIGHT_PX = 460, 300
_LEFT_PX, _TOP_PX, _RIGHT_PX, _BOTTOM_PX = 70, 36, 20, 40


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """All rows, in one step: the columns of the last one."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[-1]), "nan", "ignore")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def draw_curves(rows: Sequence[Row], panels: Mapping[str, Sequence[str]], x: str) -> Tensor:
    """One panel per title with the columns named, over the column `x` → 1×3×H×W."""
    pictures = [_panel(title, rows, columns, x) for title, columns in panels.items()]
    return from_array(np.concatenate(pictures, 1))


def _panel(title: str, rows: Sequence[Row], columns: Sequence[str], x: str) -> Array:
    from ..opencv import cv2

    canvas = np.full((_HEIGHT_PX, _WIDTH_PX, 3), _PAPER, np.uint8)
    places = [float(row[x]) for row in rows]
    values = [_value(row, name) for row in rows for name in columns]
    low, high = _range([value for value in values if math.isfinite(value)])
    first, last = _range(places)
    _text(canvas, title, (_LEFT_PX, 22), 0.5)
    for step in range(5):
        value = low + (high - low) * step / 4
        y = _row(value, low, high)
        cv2.line(canvas, (_LEFT_PX, y), (_WIDTH_PX - _RIGHT_PX, y), _GRID, 1)
        _text(canvas, f"{value:.4g}", (8, y + 4), 0.38)
    for value in (first, last):
        _text(canvas, f"{value:g}", (_column(value, first, last) - 6, _HEIGHT_PX - 22), 0.38)
    for index, name in enumerate(columns):
        colour = _COLOURS[index % len(_COLOURS)]
        points = [
            (_column(place, first, last), _row(_value(row, name), low, high))
            for place, row in zip(places, rows, strict=True)
            if math.isfinite(_value(row, name))
        ]
        for start, end in pairwise(points):
            cv2.line(canvas, start, end, colour, 2, cv2.LINE_AA)
        for point in points[-1:]:
            cv2.circle(canvas, point, 3, colour, -1, cv2.LINE_AA)
        _text(canvas, name, (_LEFT_PX + 78 * index, _HEIGHT_PX - 6), 0.42, colour)
    return canvas


def _value(row: Row, name: str) -> float:
    return float(row.get(name, math.nan))


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _row(value: float, low: float, high: float) -> int:
    space = _HEIGHT_PX - _TOP_PX - _BOTTOM_PX
    return round(_TOP_PX + space * (high - value) / (high - low))


def _column(value: float, first: float, last: float) -> int:
    space = _WIDTH_PX - _LEFT_PX - _RIGHT_PX
    return round(_LEFT_PX + space * (value - first) / (last - first))


def _text(
    canvas: Array,
    text: str,
    place: tuple[int, int],
    scale: float,
    colour: tuple[int, int, int] = _INK,
) -> None:
    from ..opencv import cv2

    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
