"""How good a matting network is on pictures that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...evaluation.contact_sheet import contact_sheet
from ...evaluation.error_maps import error_map
from ...evaluation.matting_metrics import mean_matte_scores, score_matte
from ...ops.resizing import resize
from ...synthesis.cutouts import Library
from ..config import BiRefNetConfig
from ..data import normalise
from ..examples import Example
from .batches import sized

_METRICS = ("PA", "BIoU", "BIoU_soft", "MAE")
SCORES = {"PA": "PA_clipped", "BIoU": "BIoU", "BIoU_soft": "BIoU_soft", "MAE": "MAE_soft"}


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the colours that a network wants."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, image: Tensor) -> Tensor:
        return normalise(image, self.mean, self.std)


@torch.no_grad()
def validate(
    network: nn.Module,
    examples: Sequence[Example],
    backgrounds: Library,
    config: BiRefNetConfig,
    colours: Statistics,
) -> tuple[dict[str, float], Tensor | None]:
    """Figures by name, at the truths' own sizes, and a sheet of the first `config.samples`.

    Pictures are not augmented; cutouts lie on the same backgrounds every time. `network` is in
    inference mode afterwards.
    """
    device = next(network.parameters()).device
    network.train(False)
    scores = []
    rows: list[list[Tensor]] = []
    for index, example in enumerate(examples):
        rng = np.random.default_rng((config.seed, index, 2))
        image, small = sized(example, config.size_px, rng, backgrounds, config.flat_share)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            logits = network(colours.apply(image.to(device)))
        matte = logits.float().sigmoid().cpu()
        truth = example.read()[1]
        size_hw = (int(truth.shape[-2]), int(truth.shape[-1]))
        scores.append(score_matte(resize(matte, size_hw), truth, _METRICS))
        if index < config.samples:
            rows.append([image, small, matte, error_map(matte, small, image)])
    values = mean_matte_scores(scores).values
    names = [example.name for example in examples[: len(rows)]]
    sheet = contact_sheet(rows, names, ["picture", "truth", "matte", "error"]) if rows else None
    return {name: values[column] for name, column in SCORES.items()}, sheet
