"""Run a matting function over a fixed test set, and tabulate its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import BadInput
from ..host import Host
from ..imaging import picture_suffixes, read
from ..ops.resizing import resize
from ..synthesis.cutouts import Library, read_library
from .alpha_metrics import AlphaScores, mean_scores, score_alpha
from .composites import KINDS, Kind, composites

Predict = Callable[[Tensor], Tensor]  # 1×3×H×W → alpha 1×1×H×W
Scored = list[tuple[str, AlphaScores]]  # style and figures of each picture

MASKED = "own"  # the kind of pictures with backgrounds of their own
_DRAWS = 2000


@dataclass(frozen=True)
class Row:
    """Mean scores of one method on one kind of background at one size.

    `kind`: as composites have it, or `MASKED`; `style` is empty for all together. `size_px` 0: each
    picture's own. `iou_low` and `iou_high`: 95 % of the means of pictures drawn anew (bootstrap).
    `iou_worst`: mean over the worst tenth of the pictures.
    """

    method: str
    kind: str
    size_px: int
    pictures: int
    scores: AlphaScores
    style: str = ""
    iou_low: float = 0.0
    iou_high: float = 0.0
    iou_worst: float = 0.0


def evaluate_composites(
    methods: dict[str, Callable[[int], Predict]],
    data: Path,
    split: str,
    host: Host,
    *,
    sizes_px: Sequence[int] = (256, 512),
    per_figure: int = 2,
    by_style: bool = False,
) -> list[Row]:
    """Score every method on the same composites of one split.

    `methods`: name → function that, given the side of the composites, returns the predictor.
    """
    return evaluate_library(
        methods, read_library(data, split), host, label=split, sizes_px=sizes_px,
        per_figure=per_figure, by_style=by_style,
    )  # fmt: skip


def evaluate_library(
    methods: dict[str, Callable[[int], Predict]],
    library: Library,
    host: Host,
    *,
    label: str,
    sizes_px: Sequence[int] = (256, 512),
    per_figure: int = 2,
    by_style: bool = False,
) -> list[Row]:
    """The same for cutouts that are in memory."""
    rows: list[Row] = []
    kinds: list[Kind] = [kind for kind in KINDS if kind != "scene" or library.backgrounds]
    total = len(sizes_px) * len(kinds) * len(library.cutouts) * per_figure
    with host.progress(total, f"evaluating {label}") as step:
        for size_px in sizes_px:
            predictors = {name: make(size_px) for name, make in methods.items()}
            for kind in kinds:
                scores: dict[str, Scored] = {name: [] for name in methods}
                for item in composites(library, kind, size_px, per_figure):
                    for name, predict in predictors.items():
                        figures = score_alpha(predict(item.image), item.alpha)
                        scores[name].append((item.style, figures))
                    step()
                for name, scored in scores.items():
                    rows += _rows(name, kind, size_px, scored, by_style)
    return rows


def evaluate_masked(methods: dict[str, Predict], folder: Path, host: Host) -> list[Row]:
    """Score pictures with backgrounds of their own: `NAME.*` beside `NAME_mask.*`.

    Each is measured at its own size. Raises BadInput where there is no pair.
    """
    pairs = list(_masked_pairs(folder))
    if not pairs:
        raise BadInput(f"{folder} must hold pictures and their masks, NAME_mask.png", "none")
    scores: dict[str, Scored] = {name: [] for name in methods}
    with host.progress(len(pairs), "evaluating masked pictures") as step:
        for picture, mask in pairs:
            image, truth = read(picture).image, read(mask).image[:, :1]
            if truth.shape[-2:] != image.shape[-2:]:
                truth = resize(truth, (image.shape[-2], image.shape[-1]))
            for name, predict in methods.items():
                scores[name].append(("", score_alpha(predict(image), truth)))
            step()
    return [row for name, values in scores.items() for row in _rows(name, MASKED, 0, values, False)]


def _masked_pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in picture_suffixes())
    masks = {path.stem: path for path in files}
    for path in files:
        if (mask := masks.get(f"{path.stem}_mask")) is not None:
            yield path, mask


def _rows(method: str, kind: str, size_px: int, scored: Scored, by_style: bool) -> list[Row]:
    groups = {"": scored}
    if by_style:
        for style in sorted({style for style, _ in scored}):
            groups[style or "unknown"] = [item for item in scored if item[0] == style]
    return [
        _row(method, kind, size_px, style, [scores for _, scores in group])
        for style, group in groups.items()
    ]


def _row(method: str, kind: str, size_px: int, style: str, scores: list[AlphaScores]) -> Row:
    ious = np.array([score.iou for score in scores])
    drawn = np.random.default_rng(0).integers(0, len(ious), (_DRAWS, len(ious)))
    low, high = np.percentile(ious[drawn].mean(1), (2.5, 97.5))
    worst = np.sort(ious)[: max(1, round(len(ious) / 10))].mean()
    return Row(
        method, kind, size_px, len(scores), mean_scores(scores),
        style, float(low), float(high), float(worst),
    )  # fmt: skip


def markdown_table(rows: Sequence[Row]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "| method | background | size | pictures | PSNR dB | PA | IoU | 95 % | worst tenth | MAE "
        "| glass | haze |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        s = row.scores
        kind = f"{row.kind}, {row.style}" if row.style else row.kind
        size = f"{row.size_px}²" if row.size_px else "own"
        lines.append(
            f"| {row.method} | {kind} | {size} | {row.pictures} "
            f"| {s.psnr:.2f} | {s.pa:.4f} | {s.iou:.4f} | {row.iou_low:.3f}–{row.iou_high:.3f} "
            f"| {row.iou_worst:.3f} | {s.mae:.4f} | {s.glass:.4f} | {s.haze:.4f} |"
        )
    return "\n".join(lines)
