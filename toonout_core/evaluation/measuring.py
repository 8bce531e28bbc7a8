"""Measure predictions in files, or models at work, against truths in files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from ..errors import Cancelled, ToonOutError, plain
from ..host import Step
from ..imaging import from_levels, read, to_levels
from ..ops.compositing import on_white
from ..ops.eight_bit import resize_eight_bit
from ..output.writing import write
from .matting_metrics import MatteScores, mean_matte_scores, score_matte
from .pairing import Pair, read_matte
from .peak_memory import peak_memory

log = logging.getLogger("toonout")

Predict = Callable[[Tensor], Tensor]  # picture 1×3×H×W → alpha 1×1×H×W


@dataclass(frozen=True)
class Measured:
    """One matte. `image`: the picture's file, if known; `seconds`: of the model alone."""

    pair: Pair
    matte: Path | None
    image: Path | None
    scores: MatteScores
    seconds: float | None = None
    note: str = ""


@dataclass
class Method:
    """One model or folder of predictions. `problems`: (name of the picture, sentence)."""

    name: str
    rows: list[Measured] = field(default_factory=list[Measured])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    device: str = ""
    peak_bytes: int | None = None
    file_bytes: int | None = None

    def mean(self, category: str | None = None) -> MatteScores | None:
        """Return the mean over the pictures of a category, or over all; None if there are none."""
        scores = [row.scores for row in self.rows if category in (None, row.pair.category)]
        return mean_matte_scores(scores) if scores else None

    @property
    def seconds(self) -> float | None:
        """The typical time for a picture."""
        return typical_seconds([r.seconds for r in self.rows if r.seconds is not None])


def measure_files(
    name: str,
    pairs: Sequence[Pair],
    metrics: Sequence[str],
    step: Step,
    *,
    images: dict[str, Path] | None = None,
) -> Method:
    """Score each prediction; what cannot be read becomes a problem of the method."""
    method = Method(name)
    for pair in pairs:
        with noting(method.problems, pair.name):
            prediction, truth = read_matte(pair.source), read_matte(pair.truth)
            prediction, note = _fitted(prediction, truth)
            scores = score_matte(prediction, truth, metrics)
            image = (images or {}).get(pair.name)
            method.rows.append(Measured(pair, pair.source, image, scores, note=note))
        step()
    return method


def measure_model(
    method: Method,
    predict: Predict,
    pairs: Sequence[Pair],
    metrics: Sequence[str],
    step: Step,
    *,
    device: torch.device,
    mattes: Path | None = None,
) -> None:
    """Run a model over the images of `pairs` and score its mattes, rounded to 8 bit as in files.

    `mattes`: a folder to write them to. The model never sees the alpha that an image may have, but
    white where that is transparent.
    """
    method.device = str(device)
    with peak_memory(device) as peak:
        for pair in pairs:
            with noting(method.problems, pair.name):
                method.rows.append(_run(predict, pair, metrics, device, mattes))
            step()
    method.peak_bytes = peak.size_bytes


def _run(
    predict: Predict,
    pair: Pair,
    metrics: Sequence[str],
    device: torch.device,
    mattes: Path | None,
) -> Measured:
    image, truth = read_seen(pair.source), read_matte(pair.truth)
    alpha, seconds = predict_timed(predict, image, device)
    prediction, note = _fitted(from_levels(to_levels(alpha)).cpu(), truth)
    scores = score_matte(prediction, truth, metrics)
    written = None if mattes is None else write_picture(alpha, mattes / f"{pair.name}.png")
    return Measured(pair, written, pair.source, scores, seconds, note)


def read_seen(path: Path) -> Tensor:
    """Read a picture 1×3×H×W, white where it is transparent."""
    picture = read(path)
    return on_white(picture.image, picture.alpha)


def predict_timed(predict: Predict, image: Tensor, device: torch.device) -> tuple[Tensor, float]:
    """Return alpha, and the seconds until the device had it ready."""
    begun = time.perf_counter()
    alpha = predict(image)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return alpha, time.perf_counter() - begun


def write_picture(image: Tensor, path: Path) -> Path:
    """Write alpha 1×1×H×W or a picture 1×3×H×W as PNG, whole or not at all, over what was there."""
    return write(path, image, format="png", overwrite=True)


def typical_seconds(seconds: Sequence[float]) -> float | None:
    """Return the median. The first one, which warms up, counts only where it is alone."""
    return median(seconds[1:] or seconds) if seconds else None


def _fitted(prediction: Tensor, truth: Tensor) -> tuple[Tensor, str]:
    if prediction.shape == truth.shape:
        return prediction, ""
    size_hw = (int(truth.shape[-2]), int(truth.shape[-1]))
    note = (
        f"resized from {prediction.shape[-1]}×{prediction.shape[-2]} to {size_hw[1]}×{size_hw[0]}"
    )
    return resize_eight_bit(prediction, size_hw), note  # as published: not antialiased


@contextmanager
def noting(problems: list[tuple[str, str]], name: str) -> Iterator[None]:
    """Add what fails within to `problems`, so that the other pictures go on; a stop passes."""
    try:
        yield
    except Cancelled:
        raise
    except (ToonOutError, OSError, RuntimeError, ValueError, MemoryError) as error:
        log.debug("%s", name, exc_info=error)
        problems.append((name, plain(error) or type(error).__name__))
