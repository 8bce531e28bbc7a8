"""Compare models on pictures without truth: how they look, how long they take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..host import Step
from ..ops.foreground import estimate_foreground
from ..output.naming import Source
from .contact_sheet import Look, cutout_sheet
from .measuring import Predict, noting, predict_timed, read_seen, typical_seconds, write_picture
from .pairing import read_matte
from .peak_memory import peak_memory
from .tables import Table


@dataclass
class Variant:
    """One model in one format. `mattes`, `seconds`: of each picture the file and the time."""

    name: str
    model: str = ""
    device: str = ""
    file_bytes: int | None = None
    load_seconds: float | None = None
    peak_bytes: int | None = None
    seconds: dict[Path, float] = field(default_factory=dict[Path, float])
    fusion_seconds: list[float] = field(default_factory=list[float])
    mattes: dict[Path, Path] = field(default_factory=dict[Path, Path])
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    beside: str = ""  # the variant that it is compared with: the first of its model, or of all
    worst_levels: int = 0  # difference to that, of 255
    mean_levels: list[float] = field(default_factory=list[float])


def cut_all(
    variant: Variant,
    predict: Predict,
    sources: Sequence[Source],
    out: Path,
    step: Step,
    device: torch.device,
) -> None:
    """Write a matte of every picture to `out`; what fails becomes a problem of the variant."""
    variant.device = str(device)
    with peak_memory(device) as peak:
        for source in sources:
            with noting(variant.problems, str(source.target)):
                alpha, seconds = predict_timed(predict, read_seen(source.path), device)
                target = out / source.target
                path = write_picture(alpha, target.with_name(f"{target.name}.png"))
                variant.seconds[source.path] = seconds
                variant.mattes[source.path] = path
            step()
    variant.peak_bytes = peak.size_bytes


def pair_variants(variants: Sequence[Variant]) -> None:
    """Say for each what it is compared with: formats with the first of their model, models with the
    first of all."""
    for index, variant in enumerate(variants):
        earlier = variants[:index]
        same = [other.name for other in earlier if other.model == variant.model]
        variant.beside = next(iter(same or [other.name for other in earlier]), "")


def compare_picture(
    source: Source,
    variants: Sequence[Variant],
    colours: Sequence[str],
    *,
    cell_px: int = 256,
    fusion: bool = True,
) -> Tensor | None:
    """Draw a `cutout_sheet` of all variants; None if none has a matte of the picture.

    With `fusion` each variant has a second row, its colours estimated by blur fusion.
    """
    image = read_seen(source.path)
    mattes: dict[str, Tensor] = {}
    looks: list[Look] = []
    for variant in variants:
        if source.path not in variant.mattes:
            continue
        alpha = read_matte(variant.mattes[source.path])
        mattes[variant.name] = alpha
        if (beside := mattes.get(variant.beside)) is not None:
            _note_difference(variant, beside, alpha)
        looks.append(Look(f"{variant.name}, {variant.seconds[source.path]:.2f} s", alpha, image))
        if fusion:
            foreground = _timed_fusion(variant, image, alpha)
            seconds = variant.fusion_seconds[-1]
            looks.append(Look(f"{variant.name} + blur fusion, {seconds:.2f} s", alpha, foreground))
    return cutout_sheet(image, looks, colours, cell_px=cell_px) if looks else None


def _timed_fusion(variant: Variant, image: Tensor, alpha: Tensor) -> Tensor:
    begun = time.perf_counter()
    foreground = estimate_foreground(image, alpha, method="blur-fusion")
    variant.fusion_seconds.append(time.perf_counter() - begun)
    return foreground


def _note_difference(variant: Variant, first: Tensor, alpha: Tensor) -> None:
    levels = (alpha - first).abs().mul(0xFF)
    variant.worst_levels = max(variant.worst_levels, round(float(levels.max())))
    variant.mean_levels.append(float(levels.mean()))


def comparison_table(variants: Sequence[Variant]) -> Table:
    """Tabulate sizes, times and how far the mattes are apart; see `pair_variants`."""
    header = ["method", "weights (MiB)", "load (s)", "matting (s)", "blur fusion (s)"]
    header += ["peak memory (MiB)", "device", "apart (levels)"]
    return Table("Compared", header, [_cells(variant) for variant in variants])


def _cells(variant: Variant) -> list[str]:
    return [
        variant.name,
        _mebibytes(variant.file_bytes),
        _decimals(variant.load_seconds),
        _decimals(typical_seconds([*variant.seconds.values()])),
        _decimals(typical_seconds(variant.fusion_seconds)),
        _mebibytes(variant.peak_bytes),
        variant.device or "–",
        _apart(variant),
    ]


def _apart(variant: Variant) -> str:
    if not variant.mean_levels:
        return "–"
    mean = sum(variant.mean_levels) / len(variant.mean_levels)
    return f"from {variant.beside}: {variant.worst_levels} at most, {mean:.3f} in the mean"


def _mebibytes(size: int | None) -> str:
    return "–" if size is None else f"{size / 2**20:.1f}"


def _decimals(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.3f}"
