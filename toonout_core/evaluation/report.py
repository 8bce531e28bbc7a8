"""Run a matting function over a fixed test set and tabulate its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..host import Host
from ..synthesis.cutouts import read_library
from .alpha_metrics import AlphaScores, mean_scores, score_alpha
from .composites import Kind, composites

Predict = Callable[[Tensor], Tensor]  # 1×3×S×S → alpha 1×1×S×S


@dataclass(frozen=True)
class Row:
    """Mean scores of one method on one kind of background at one size."""

    method: str
    kind: Kind
    size_px: int
    pictures: int
    scores: AlphaScores


def evaluate_composites(
    methods: dict[str, Callable[[int], Predict]],
    data: Path,
    split: str,
    host: Host,
    *,
    sizes_px: Sequence[int] = (256, 512),
    per_figure: int = 2,
) -> list[Row]:
    """Scores of every method on the same composites of one split.

    `methods`: name → function that, given the side of the composites, returns the predictor.
    """
    library = read_library(data, split)
    rows: list[Row] = []
    kinds: tuple[Kind, ...] = ("flat", "scene") if library.backgrounds else ("flat",)
    total = len(sizes_px) * len(kinds) * len(library.cutouts) * per_figure
    with host.progress(total, f"evaluating {split}") as step:
        for size_px in sizes_px:
            predictors = {name: make(size_px) for name, make in methods.items()}
            for kind in kinds:
                scores: dict[str, list[AlphaScores]] = {name: [] for name in methods}
                for item in composites(library, kind, size_px, per_figure):
                    for name, predict in predictors.items():
                        scores[name].append(score_alpha(predict(item.image), item.alpha))
                    step()
                rows += [
                    Row(name, kind, size_px, len(values), mean_scores(values))
                    for name, values in scores.items()
                ]
    return rows


def markdown_table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| method | background | size | pictures | PSNR dB | PA | IoU | MAE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        s = row.scores
        lines.append(
            f"| {row.method} | {row.kind} | {row.size_px}² | {row.pictures} "
            f"| {s.psnr:.2f} | {s.pa:.4f} | {s.iou:.4f} | {s.mae:.4f} |"
        )
    return "\n".join(lines)
