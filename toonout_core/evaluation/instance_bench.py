"""Run a segmenter on synthetic scenes of known instance mattes: AP, errors of mattes, time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..host import Host
from ..instances import Instances
from ..matting import Matting
from ..output.coco import Annotation, dataset, to_annotations
from ..output.instance_files import trusting_masks
from ..segmentation.asking import DEFAULTS, SegmentOptions
from ..segmentation.instance_segmenter import InstanceSegmenter
from ..segmentation.sharing import share_matte
from ..synthesis.cutouts import Library
from ..synthesis.instance_scenes import InstanceScene, coarse_masks, instance_scene
from .instance_metrics import (
    Kind,
    average_precision,
    best_operating_point,
    calibration_error,
    hits_by_score,
    mask_iou,
)
from .touching import Pairs, count_pairs

Looked = Callable[[int, InstanceScene, Instances, Instances], None]

_MATCHED = 0.5  # mask IoU of a character that counts as found
_FEWEST, _MOST = 1, 5
_MEAN_COUNT = 2.5  # of the cartoon paper's Poisson distribution


@dataclass(frozen=True)
class BenchOptions:
    """Which scenes, and what counts as found. Scene i depends on nothing but `seed` and i."""

    scenes: int = 100
    size_px: int = 720
    seed: int = 0
    segment: SegmentOptions = DEFAULTS


@dataclass
class MatteErrors:
    """Σ|α − truth| over the picture of every character that was found, in thousands.

    `hard`: its mask; `cut`: the whole matte where its mask is; `shared`: its part of the matte;
    `trusting`: the same where masks are trusted more (see `instance_files.trusting_masks`).
    """

    hard: list[float] = field(default_factory=list[float])
    cut: list[float] = field(default_factory=list[float])
    shared: list[float] = field(default_factory=list[float])
    trusting: list[float] = field(default_factory=list[float])

    def means(self) -> dict[str, float | None]:
        return {name: float(np.mean(own)) if own else None for name, own in asdict(self).items()}


@dataclass(frozen=True)
class BenchReport:
    """What a run has measured. `figures` are the same on every run with the same weights; `seconds`
    are not.
    """

    settings: dict[str, Any]
    figures: dict[str, Any]
    seconds: dict[str, float]


def bench_instances(
    segmenter: InstanceSegmenter | None,
    matting: Matting | None,
    library: Library,
    host: Host,
    options: BenchOptions = BenchOptions(),
    *,
    looked: Looked | None = None,
) -> BenchReport:
    """Run both over the scenes. `looked` sees the scene's number, the scene, instances and their
    mattes.

    Without a `segmenter` the true masks are used, damaged as a refiner would damage them; without
    `matting`, the true matte. So good would mattes be if only the other part were wrong.
    """
    if options.scenes < 1:
        raise BadInput("there must be at least one scene", str(options.scenes))
    truth: list[tuple[str, tuple[int, int], list[Annotation]]] = []
    results: list[Annotation] = []
    errors, seconds, pairs = MatteErrors(), _Seconds(), Pairs()
    with host.progress(options.scenes, "measuring instances") as step:
        for number, scene in _scenes(library, options):
            with seconds.of("segment"):
                found = _find(segmenter, scene, options, number)
            with seconds.of("matte"):
                alpha = scene.alpha if matting is None else matting.predict(scene.image).cpu()
            with seconds.of("share"):
                mattes = share_matte(alpha, found, scene.image)
            trusting = share_matte(alpha, found, scene.image, trusting_masks(found.size_hw))
            true_masks = scene.alphas > 0.5
            real = to_annotations(Instances.from_masks(true_masks))
            truth.append((f"{number}", found.size_hw, real))
            results += [{"image_id": number + 1, **own} for own in to_annotations(found)]
            alphas = {
                "hard": found.masks.to(torch.float32),
                "cut": alpha[0] * found.masks.to(torch.float32),
                "shared": mattes.masks,
                "trusting": trusting.masks,
            }
            _compare(scene, true_masks, found, alphas, errors)
            pairs += count_pairs(true_masks, _solid(found))
            if looked is not None:
                looked(number, scene, found, mattes)
            step()
    figures = _figures(dataset(truth), results) | {
        "characters": sum(len(real) for _, _, real in truth),
        "matched": len(errors.hard),
        "pairs": asdict(pairs),
        "sad_thousands": errors.means(),
    }
    names = {
        "segmenter": "truth" if segmenter is None else segmenter.name,
        "matte": "truth" if matting is None else matting.name,
    }
    settings = asdict(options) | names
    return BenchReport(settings, figures, seconds.medians())


def _scenes(library: Library, options: BenchOptions) -> Iterator[tuple[int, InstanceScene]]:
    for number in range(options.scenes):
        rng = np.random.default_rng([options.seed, number])
        count = int(np.clip(rng.poisson(_MEAN_COUNT), _FEWEST, _MOST))
        yield number, instance_scene(library, int(rng.integers(2**31)), options.size_px, count)


def _find(
    segmenter: InstanceSegmenter | None, scene: InstanceScene, options: BenchOptions, number: int
) -> Instances:
    if segmenter is not None:
        return segmenter.segment(scene.image, options.segment)[0]
    return Instances.from_masks(coarse_masks(scene.alphas, options.seed + number), origin="truth")


def _compare(
    scene: InstanceScene,
    true_masks: Tensor,
    found: Instances,
    alphas: Mapping[str, Tensor],
    errors: MatteErrors,
) -> None:
    """Pair characters and instances by their mask IoU, best first, each in one pair at most."""
    solid = _solid(found)
    ious = torch.tensor([[mask_iou(mask, own) for own in solid] for mask in true_masks])
    while ious.numel() and float(ious.max()) >= _MATCHED:
        row, column = divmod(int(ious.argmax()), ious.shape[1])
        for name, planes in alphas.items():
            getattr(errors, name).append(_sad(planes[column], scene.alphas[row]))
        ious[row], ious[:, column] = -1, -1


def _solid(found: Instances) -> list[Tensor]:
    return [mask if mask.dtype == torch.bool else mask > 0.5 for mask in found.masks]


def _sad(alpha: Tensor, truth: Tensor) -> float:
    return float((alpha - truth).abs().sum(dtype=torch.float64)) / 1000


def _figures(truth: Mapping[str, Any], results: list[Annotation]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for kind in get_args(Kind):
        precision = average_precision(truth, results, kind)
        point = best_operating_point(truth, results, kind)
        figures[kind] = {
            "ap": precision.ap,
            "ap50": precision.ap50,
            "ap75": precision.ap75,
            **asdict(point),
        }
    error = calibration_error(*hits_by_score(truth, results, "mask"))
    return figures | {"calibration_error": None if math.isnan(error) else error}


class _Seconds:
    """The wall time of the parts of the work."""

    def __init__(self) -> None:
        self._all: dict[str, list[float]] = {}
        self._name, self._began = "", 0.0

    def of(self, name: str) -> _Seconds:
        self._name = name
        return self

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._all.setdefault(self._name, []).append(time.perf_counter() - self._began)

    def medians(self) -> dict[str, float]:
        return {name: median(values) for name, values in self._all.items()}


# ---------------------------------------------------------------- for readers


def markdown(report: BenchReport) -> str:
    """Write the tables of a report; AP is in per cent, as papers print it."""
    lines = ["| | AP | AP50 | AP75 | precision | recall |", "|---|---|---|---|---|---|"]
    figures = report.figures
    for kind in get_args(Kind):
        own = figures[kind]
        names = ("ap", "ap50", "ap75", "precision", "recall")
        lines.append(f"| {kind} | " + " | ".join(f"{100 * own[n]:.1f}" for n in names) + " |")
    lines += ["", "| alpha of a character | mean SAD / 1000 |", "|---|---|"]
    named = {
        "hard": "mask",
        "cut": "matte where the mask is",
        "shared": "part of the matte",
        "trusting": "part of the matte, masks trusted",
    }
    for name, words in named.items():
        mean = figures["sad_thousands"][name]
        lines.append(f"| {words} | {'–' if mean is None else format(mean, '.2f')} |")
    lines += [
        "",
        f"{figures['matched']} of {figures['characters']} characters found (mask IoU at least "
        f"{_MATCHED}); errors are of those.",
        f"Of {figures['pairs']['touching']} pairs that touch, {figures['pairs']['separated']} were "
        f"told apart and {figures['pairs']['merged']} taken for one.",
        "Median seconds a picture: "
        + ", ".join(f"{name} {value:.2f}" for name, value in report.seconds.items())
        + ".",
    ]
    return "\n".join(lines) + "\n"
