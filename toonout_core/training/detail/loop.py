"""Train the head for detail on the frozen features of a matting network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import BadInput
from ...evaluation.alpha_metrics import near_edges
from ...evaluation.composites import composites
from ...host import Host
from ...models.lite_unet import ARCHITECTURE, LiteUNet
from ..checks import require_counts, require_sides
from ..config import DetailConfig
from ..heads import start_network, with_head
from ..losses import weighted_parts
from ..processes import Processes
from ..rtmdet.network import parameter_groups
from ..run import train
from ..training import Training, Validated
from ..unet.batches import CompositeBatches
from ..unet.loop import learning_rate, read_art
from .coarse import edge_parts, look_from_afar, normal, varied

_KINDS = ("flat", "scene")  # of validation pictures


class DetailTraining(Training[DetailConfig, tuple[Tensor, Tensor]]):
    """Batches are images and alphas, as `CompositeBatches` makes them. Its units are steps.

    The weights hold the matting network too, as it was.
    """

    architecture = ARCHITECTURE
    parts = ("edge_l1", "slope", "bce")
    panels: ClassVar = {
        "training loss": parts,
        "validation error at edges, of the coarse one's": ("error",),
    }
    shown = ("step", *parts, "gradient_norm", "error", "seconds")
    unit = "step"

    def __init__(self, config: DetailConfig, here: Processes, host: Host) -> None:
        super().__init__(config, here, host)
        require_counts(config, "steps", "crops", "validate_every", "checkpoint_every")
        require_sides("--sizes-px", *config.sizes_px, unit=32, least=64)
        require_sides("--crop-px", config.crop_px, unit=32, least=32)
        if config.crop_px > min(config.sizes_px):
            raise BadInput("--crop-px must be at most the least of --sizes-px", str(config.crop_px))
        self.units, self.unit_steps = config.steps, 1
        self.record_every, self.keep_every = config.validate_every, config.checkpoint_every
        art, self.validation = read_art(config)
        self.dataset = partial(CompositeBatches, art, config)
        self.network = start_network("detail", config, host).to(here.device)
        head = self.placed(cast("nn.Module", self.network.detail))
        self.kept = {"head": head}
        self.groups = parameter_groups(head, config.weight_decay)
        self.model = here.share(head)
        self.learning_rate = lambda step: learning_rate(config, step)
        self.quality = lambda row: (-row["error"],)
        self.weights = {name: getattr(config, name) for name in self.parts}

    def set_mode(self, step: int) -> None:
        self.network.train(False)
        super().set_mode(step)

    def losses(self, step: int, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        config = self.config
        rng = np.random.default_rng((config.seed, step, self.here.rank, 11))
        image, alpha = (value.to(self.here.device) for value in batch)
        with self.lowered():
            coarse = look_from_afar(self.network, image, float(rng.uniform(*config.reduced)))
            coarse = varied(rng, coarse, alpha)
            parts = edge_parts(
                rng, torch.cat((image, alpha, coarse), 1), alpha, coarse,
                config.crop_px, config.crops,
            )  # fmt: skip
            image, alpha, coarse = parts.split((3, 1, 1), 1)
            image = normal(image)
            with torch.no_grad():
                encoded, decoded = self.network.fine_features(image)
            logits = self.model(image, coarse, encoded, decoded)
        return weighted_parts(logits.float(), alpha, self.weights)

    def result(self, learnt: nn.Module) -> LiteUNet:
        return with_head("detail", self.network, learnt)

    @torch.inference_mode()
    def validate(self, network: nn.Module, unit: int) -> Validated:
        """Error at the edges of fixed composites, as a share of the coarse matte's there."""
        network.train(False)
        side = self.config.validate_px or max(self.config.sizes_px)
        factor = float(np.mean(self.config.reduced))
        errors = np.zeros(2)
        for art in self.validation.values():
            for kind in _KINDS:
                for pair in composites(art, kind, side, per_figure=1):
                    image, alpha = pair.image.to(self.here.device), pair.alpha.to(self.here.device)
                    coarse = look_from_afar(network, image, factor)
                    fine = network(normal(image), coarse=coarse).float().sigmoid()
                    near = near_edges(alpha)
                    for index, found in enumerate((coarse, fine)):
                        errors[index] += float(((found - alpha).abs() * near).sum())
        return {"error": float(errors[1] / max(errors[0], 1e-6))}, None


def train_detail(config: DetailConfig, host: Host | None = None) -> Path:
    """See `train`; the best weights have the least error at edges."""
    return train(DetailTraining, config, host)
