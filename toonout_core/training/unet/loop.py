"""Train a small network that predicts alpha."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from math import cos, pi
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...evaluation.alpha_metrics import AlphaScores, mean_scores, score_alpha
from ...evaluation.composites import KINDS, Composite, composites
from ...host import Host
from ...synthesis.cutouts import Library, read_library
from ..checks import require_counts
from ..config import CompositeTraining, UNetConfig
from ..data import normalise
from ..losses import weighted_parts
from ..processes import Processes
from ..run import train
from ..training import Training, Validated
from .batches import CompositeBatches
from .network import check_sides, keep_statistics, parameter_groups, start_network
from .old_runs import read_old_run


class UNetTraining(Training[UNetConfig, tuple[Tensor, Tensor]]):
    """Batches are images and alphas, as `CompositeBatches` makes them. Its units are steps."""

    parts = ("mse", "edge_l1", "bce", "iou", "solid")
    panels: ClassVar = {
        "training loss": ("loss",),
        "its parts": parts,
        "validation IoU": tuple(f"{kind}_iou" for kind in KINDS),
        "validation error": tuple(f"{kind}_mae" for kind in KINDS),
    }
    shown = ("step", "loss", "gradient_norm", *panels["validation IoU"], "seconds")
    unit = "step"

    def __init__(self, config: UNetConfig, here: Processes, host: Host) -> None:
        super().__init__(config, here, host)
        require_counts(config, "steps", "validate_every", "checkpoint_every")
        network, self.architecture = start_network(config)
        check_sides(network, config)
        self.units, self.unit_steps = config.steps, 1
        self.record_every, self.keep_every = config.validate_every, config.checkpoint_every
        art, self.validation = read_art(config)
        self.dataset = partial(CompositeBatches, art, config)
        self.network = self.placed(network).to(memory_format=torch.channels_last)
        self.kept = {"network": self.network}
        self.groups = parameter_groups(self.network, config)
        self.model = here.share(self.network)
        self.learning_rate = lambda step: learning_rate(config, step)
        self.quality = lambda row: (sum(row[f"{kind}_iou"] for kind in KINDS),)
        self.weights = {name: getattr(config, name) for name in self.parts}

    def set_mode(self, step: int) -> None:
        super().set_mode(step)
        keep_statistics(self.network)

    def losses(self, step: int, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image, alpha = (value.to(self.here.device) for value in batch)
        with self.lowered():
            logits = self.model(self._seen(image))
        return weighted_parts(logits.float(), alpha, self.weights)

    @torch.inference_mode()
    def validate(self, network: nn.Module, unit: int) -> Validated:
        """On the fixed composites of a split, at the composites' own size."""
        network.train(False)
        side_px = self.config.validate_px or max(self.config.sizes_px)
        scores: dict[str, float] = {}
        for start, art in self.validation.items():
            for kind in KINDS:
                pairs = composites(art, kind, side_px, per_figure=1)
                mean = mean_scores([self._score(network, pair) for pair in pairs])
                scores |= {f"{start}{kind}_{name}": value for name, value in asdict(mean).items()}
        return scores, None

    def _score(self, network: nn.Module, pair: Composite) -> AlphaScores:
        logits = network(self._seen(pair.image.to(self.here.device)))
        return score_alpha(logits.sigmoid().cpu(), pair.alpha)

    def _seen(self, image: Tensor) -> Tensor:
        known = self.architecture.input
        image = normalise(image, known.mean, known.std)
        return image.contiguous(memory_format=torch.channels_last)

    def read_old_state(
        self, kept: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
    ) -> dict[str, Any]:
        return read_old_run(Path(self.config.out), kept, optimizer)


def read_art(config: CompositeTraining) -> tuple[Library, dict[str, Library]]:
    """What is learned from, and what is validated with, by the start of its columns' names."""
    further = [Path(folder) for folder in config.more_data]
    longest_px = max(640, *config.sizes_px)
    training = read_library(Path(config.data), "train", longest_px, more=further)
    validation = {"": read_library(Path(config.data), "val")}
    for folder in further:
        if (folder / "fg" / "val").is_dir():  # before the same scenes as the others
            figures = read_library(folder, "val").cutouts
            validation[f"{folder.name}_"] = Library(figures, validation[""].backgrounds)
    return training, validation


def learning_rate(config: CompositeTraining, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to 1 % of `lr`."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    if config.schedule == "constant":
        return config.lr * warm
    done = min(1.0, step / max(config.steps, 1))
    return config.lr * warm * (0.01 + 0.99 * (1 + cos(pi * done)) / 2)


def train_unet(config: UNetConfig, host: Host | None = None) -> Path:
    """See `train`; the best weights are those of the highest sum of IoUs."""
    return train(UNetTraining, config, host)
