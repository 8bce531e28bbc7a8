"""How well a refiner refines masks of characters that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...evaluation.contact_sheet import contact_sheet
from ...evaluation.error_maps import error_map
from ...evaluation.instance_metrics import boundary_iou, mask_iou
from ...imaging import from_array
from ...segmentation.asking import DEFAULTS
from ..instance_config import RefinerConfig
from ..labelled_scenes import LabelledScene
from .batches import Sample, as_shown, joined, padded, reduced

SCORES = ("IoU", "BIoU", "coarse_IoU", "coarse_BIoU")
_TRUE = 0.5


@torch.no_grad()
def validate(
    network: nn.Module, scenes: Sequence[LabelledScene], config: RefinerConfig
) -> tuple[dict[str, float], Tensor | None]:
    """Mean IoU of masks and of their boundaries, of every character and of the coarse masks that
    the network was shown, and a sheet of the first `config.samples`.

    Coarse masks are the same every time, as wrong as in training. `network` is in inference mode
    afterwards.
    """
    device = next(network.parameters()).device
    network.train(False)
    scores: list[tuple[float, ...]] = []
    rows: list[list[Tensor]] = []
    names: list[str] = []
    for number, scene in enumerate(scenes):
        for index in scene.with_masks:
            rng = np.random.default_rng((config.seed, number, index, 2))
            sample = reduced(as_shown(rng, scene, index, config), config.size_px)
            alpha = _refined(network, sample, config, device)
            scores.append(_score(sample, alpha))
            if len(rows) < config.samples and index == scene.with_masks[0]:
                rows.append(_row(sample, alpha))
                names.append(scene.path.stem)
    means = np.mean(scores, 0).tolist()
    columns = ["picture", "coarse", "refined", "error"]
    sheet = contact_sheet(rows, names, columns, cell_px=320) if rows else None
    return dict(zip(SCORES, means, strict=True)), sheet


def _refined(
    network: nn.Module, sample: Sample, config: RefinerConfig, device: torch.device
) -> Tensor:
    """1×1×H×W in [0, 1], of the sample's size."""
    image, _ = joined([padded(sample, config.size_px)])
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        logits = network(image.to(device))
    height, width = sample.mask.shape
    return logits.float().sigmoid().cpu()[..., :height, :width]


def _score(sample: Sample, alpha: Tensor) -> tuple[float, ...]:
    truth = from_array(sample.mask)[0, 0] > _TRUE
    refined = alpha[0, 0] > DEFAULTS.refined_threshold
    coarse = from_array(sample.coarse)[0, 0] > _TRUE
    pairs = ((refined, truth), (coarse, truth))
    return tuple(measure(*pair) for pair in pairs for measure in (mask_iou, boundary_iou))


def _row(sample: Sample, alpha: Tensor) -> list[Tensor]:
    picture, truth = from_array(sample.picture), from_array(sample.mask)
    return [picture, from_array(sample.coarse), alpha, error_map(alpha, truth, picture)]
