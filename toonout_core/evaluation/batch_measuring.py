"""Measure a batch of mattes against their truths, and write the figures as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..host import Step
from .error_maps import error_map
from .matting_metrics import COLUMNS, METRIC_IDS, MatteScores, mean_matte_scores, score_matte

Figures = Literal["for soft mattes", "as published", "all"]

ALWAYS = ("PA", "BIoU_soft", "MAE")  # measured in every case
_ASKED: dict[Figures, Sequence[str]] = {
    "for soft mattes": ("MSE", "SAD", "Grad", "Conn", "PSNR", "IoU"),
    "as published": ("BIoU", "WF", "E", "S", "F", "MBA"),
    "all": METRIC_IDS,
}


@dataclass(frozen=True)
class BatchScores:
    """`rows`: the scores of each matte, `mean` of all; `errors`: B×3×H×W, see `error_map`."""

    rows: list[MatteScores]
    mean: MatteScores
    errors: Tensor

    def text(self) -> str:
        """Write the means, a line each, with what they are called and which way is better."""
        count = len(self.rows)
        lines = [f"{count} picture{'s' * (count != 1)}"]
        return "\n".join(lines + [_line(*item) for item in self.mean.values.items()])

    def json(self) -> str:
        """Write the mean and a row for each picture; null where a figure is not defined."""
        content = {"mean": _plain(self.mean), "pictures": [_plain(row) for row in self.rows]}
        return json.dumps(content, allow_nan=False)


def measure_batch(
    alpha: Tensor, truth: Tensor, image: Tensor | None, figures: Figures, report: Step
) -> BatchScores:
    """Compare mattes with their truths, both B×1×H×W; `image` B×3×H×W is drawn below."""
    wanted = {*ALWAYS, *_ASKED[figures]}
    metrics = [name for name in METRIC_IDS if name in wanted]
    rows: list[MatteScores] = []
    maps: list[Tensor] = []
    for index in range(len(alpha)):
        found, expected = alpha[index : index + 1], truth[index : index + 1]
        rows.append(score_matte(found, expected, metrics))
        maps.append(error_map(found, expected, None if image is None else image[[index]]))
        report(1, preview=maps[-1][0])
    return BatchScores(rows, mean_matte_scores(rows), torch.cat(maps))


def _line(name: str, value: float) -> str:
    column = COLUMNS[name]
    shown = "not defined"
    if math.isfinite(value):
        percent = column.unit == "%"
        shown = f"{value * (100 if percent else 1):.{2 if percent else 4}f} {column.unit}"
    better = "lower" if column.lower_is_better else "higher"
    return f"{name}: {shown.strip()} ({column.title}; {better} is better)"


def _plain(scores: MatteScores) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in scores.values.items()}
