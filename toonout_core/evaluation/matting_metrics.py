"""The table of the metrics on mattes, and the scores of one matte or of many.

As published, ToonOut (2025) and BiRefNet (2024) evaluate on 8-bit files and binarise the truth, so
that a soft matte does not even agree with itself. Beside each faulty metric stands a sound one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ..errors import BadInput
from ..words import Array
from .boundary_metrics import boundary_accuracy, boundary_iou, soft_boundary_iou
from .correction_effort import correction_effort
from .matte_errors import absolute_error, connectivity_error, gradient_error, squared_error
from .matte_pair import MattePair
from .pixel_accuracy import clipped_pixel_accuracy, pixel_accuracy
from .structure_measure import s_measure
from .threshold_metrics import e_measure, f_measure
from .weighted_f import weighted_f

Unit = Literal["%", "", "dB", "k px", "actions"]


@dataclass(frozen=True)
class Column:
    """One figure. `sound`: it ranks soft mattes rightly; `unit` "%": a share, shown × 100."""

    id: str
    title: str
    unit: Unit = ""
    lower_is_better: bool = False
    sound: bool = False


@dataclass(frozen=True)
class Metric:
    """What `measure` gives for a pair: one value a column, or (curve, adaptive value)."""

    id: str
    columns: tuple[Column, ...]
    measure: Callable[[MattePair], Any]


def _curve_columns(name: str, title: str, *, adaptive: bool) -> tuple[Column, ...]:
    columns = (
        Column(name, f"mean {title}", "%"),
        Column(f"{name}_max", f"greatest {title}", "%"),
        Column(f"{name}_adaptive", f"{title} at twice the mean", "%"),
    )
    return columns if adaptive else columns[:2]


def _error(name: str, title: str, unit: Unit = "", *, sound: bool = True) -> Column:
    return Column(name, title, unit, lower_is_better=True, sound=sound)


# in the order of the published tables, then what measures soft mattes
METRICS = (
    Metric(
        "PA",
        (
            Column("PA", "pixel accuracy", "%"),
            Column("PA_clipped", "pixel accuracy, clipped", "%", sound=True),
        ),
        lambda pair: (pixel_accuracy(pair), clipped_pixel_accuracy(pair)),
    ),
    Metric("BIoU", _curve_columns("BIoU", "boundary IoU", adaptive=False), boundary_iou),
    Metric(
        "BIoU_soft",
        (Column("BIoU_soft", "soft boundary IoU", "%", sound=True),),
        lambda pair: (soft_boundary_iou(pair),),
    ),
    Metric("WF", (Column("WF", "weighted F", "%"),), lambda pair: (weighted_f(pair),)),
    Metric("E", _curve_columns("E", "E-measure", adaptive=True), e_measure),
    Metric("S", (Column("S", "S-measure", "%"),), lambda pair: (s_measure(pair),)),
    Metric(
        "MAE",
        (
            _error("MAE", "mean absolute error, truth as mask", sound=False),
            _error("MAE_soft", "mean absolute error"),
        ),
        lambda pair: (_mask_error(pair, 1), pair.alpha_scores.mae),
    ),
    Metric(
        "MSE",
        (
            _error("MSE", "mean squared error, truth as mask", sound=False),
            _error("MSE_soft", "mean squared error"),
        ),
        lambda pair: (_mask_error(pair, 2), squared_error(pair)),
    ),
    Metric("F", _curve_columns("F", "F-measure", adaptive=True), f_measure),
    Metric(
        "MBA",
        (Column("MBA", "mean boundary accuracy", "%"),),
        lambda pair: (boundary_accuracy(pair),),
    ),
    Metric(
        "HCE",
        (_error("HCE", "human correction effort", "actions", sound=False),),
        lambda pair: (correction_effort(pair),),
    ),
    Metric(
        "SAD",
        (_error("SAD", "sum of absolute differences", "k px"),),
        lambda pair: (absolute_error(pair),),
    ),
    Metric(
        "Grad",
        (_error("Grad", "gradient error", "k px"),),
        lambda pair: (gradient_error(pair),),
    ),
    Metric(
        "Conn",
        (_error("Conn", "connectivity error", "k px"),),
        lambda pair: (connectivity_error(pair),),
    ),
    Metric(
        "PSNR",
        (Column("PSNR", "PSNR of alpha", "dB", sound=True),),
        lambda pair: (pair.alpha_scores.psnr,),
    ),
    Metric("IoU", (Column("IoU", "IoU at 0.5", "%"),), lambda pair: (pair.alpha_scores.iou,)),
)

COLUMNS = {column.id: column for metric in METRICS for column in metric.columns}
METRIC_IDS = tuple(metric.id for metric in METRICS)
_CURVES = ("BIoU", "E", "F")


@dataclass(frozen=True)
class MatteScores:
    """`values`: column id → figure (NaN or infinite where it is not defined); `curves`: metric id →
    256 figures at thresholds 255 … 0."""

    values: dict[str, float]
    curves: dict[str, Array]


def score_matte(
    prediction: Tensor, truth: Tensor, metrics: Sequence[str] = METRIC_IDS
) -> MatteScores:
    """Score a matte; both are H×W or 1×1×H×W in [0, 1], of equal shape. `metrics`: some of
    METRIC_IDS.
    """
    chosen = choose_metrics(metrics)
    pair = MattePair(prediction, truth)
    values: dict[str, float] = {}
    curves: dict[str, Array] = {}
    for metric in chosen:
        measured = metric.measure(pair)
        if metric.id in _CURVES:
            curve, *adaptive = measured if isinstance(measured, tuple) else (measured,)
            curves[metric.id] = curve
            measured = (float(curve.mean()), float(curve.max()), *adaptive)
        columns = (column.id for column in metric.columns)
        values |= {column: float(v) for column, v in zip(columns, measured, strict=True)}
    return MatteScores(values, curves)


def choose_metrics(ids: Sequence[str]) -> list[Metric]:
    """Return those metrics in the order of the table, whatever their case. Raises BadInput
    for others.
    """
    wanted = {name.casefold() for name in ids}
    if unknown := wanted - {name.casefold() for name in METRIC_IDS}:
        raise BadInput(
            f"metrics must be some of {', '.join(METRIC_IDS)}", ", ".join(sorted(unknown))
        )
    return [metric for metric in METRICS if metric.id.casefold() in wanted]


def mean_matte_scores(scores: Sequence[MatteScores]) -> MatteScores:
    """Return the mean over pictures, of each value over those where it is defined; NaN if nowhere.

    The greatest value of a curve is that of the mean curve, as published.
    """
    if not scores:
        raise BadInput("a mean must be of at least one matte", "none")
    values = {
        name: _finite_mean([score.values[name] for score in scores]) for name in scores[0].values
    }
    curves = {name: np.mean([s.curves[name] for s in scores], 0) for name in scores[0].curves}
    values |= {f"{name}_max": float(curve.max()) for name, curve in curves.items()}
    return MatteScores(values, curves)


def _finite_mean(values: Sequence[float]) -> float:
    defined = [value for value in values if math.isfinite(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _mask_error(pair: MattePair, power: int) -> float:
    return float((np.abs(pair.shares - pair.true_mask) ** power).mean())
