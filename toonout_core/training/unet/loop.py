"""Train a small network that predicts alpha."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import cos, pi
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...evaluation.alpha_metrics import AlphaScores, mean_scores, score_alpha
from ...evaluation.composites import KINDS, composites
from ...host import Host
from ...models import Architecture
from ...synthesis.cutouts import Library, read_library
from ..config import UNetConfig
from ..data import normalise
from ..losses import weighted_parts
from ..processes import Processes
from ..run import Training, Validated, train
from .batches import CompositeBatches
from .network import check_config, check_sides, parameter_groups, set_training, start_network
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
        check_config(config)
        network, self.architecture = start_network(config)
        check_sides(network, config)
        self.units, self.unit_steps = config.steps, 1
        self.record_every, self.keep_every = config.validate_every, config.checkpoint_every
        self.art, self.validation = read_art(config)
        self.network = network.to(here.device).to(memory_format=torch.channels_last)
        self.kept = {"network": self.network}
        self.model = here.share(self.network)
        self.weights = {name: getattr(config, name) for name in self.parts}

    def groups(self) -> list[dict[str, Any]]:
        return parameter_groups(self.network, self.config)

    def batches(self, first: int) -> CompositeBatches:
        return CompositeBatches(self.art, self.config, **self.places(first, self.steps))

    def set_mode(self, step: int) -> None:
        set_training(self.network)

    def learning_rate(self, step: int) -> float:
        return learning_rate(self.config, step)

    def losses(self, step: int, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image, alpha = (value.to(self.here.device) for value in batch)
        image = normalise(image, self.architecture.input.mean, self.architecture.input.std)
        with self.lowered():
            logits = self.model(image.contiguous(memory_format=torch.channels_last))
        return weighted_parts(logits.float(), alpha, self.weights)

    def validate(self, network: nn.Module, unit: int) -> Validated:
        side_px = self.config.validate_px or max(self.config.sizes_px)
        scores: dict[str, float] = {}
        for start, art in self.validation.items():
            for kind, score in validate(network, self.architecture, art, side_px).items():
                scores |= {f"{start}{kind}_{name}": value for name, value in asdict(score).items()}
        return scores, None

    def quality(self, row: Mapping[str, float]) -> tuple[float, ...]:
        return (sum(row[f"{kind}_iou"] for kind in KINDS),)

    def read_old_state(
        self, kept: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
    ) -> dict[str, Any]:
        return read_old_run(Path(self.config.out), kept, optimizer)


def read_art(config: UNetConfig) -> tuple[Library, dict[str, Library]]:
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


def learning_rate(config: UNetConfig, step: int) -> float:
    """Linear warm-up, then constant, or half a cosine down to 1 % of `lr`."""
    warm = min(1.0, (step + 1) / max(config.warmup_steps, 1))
    if config.schedule == "constant":
        return config.lr * warm
    done = min(1.0, step / max(config.steps, 1))
    return config.lr * warm * (0.01 + 0.99 * (1 + cos(pi * done)) / 2)


@torch.inference_mode()
def validate(
    network: nn.Module, architecture: Architecture, library: Library, size_px: int
) -> dict[str, AlphaScores]:
    """Scores by kind on the fixed composites of a split, at the composites' own size.

    The network is in inference mode afterwards.
    """
    device = next(network.parameters()).device
    network.train(False)
    result: dict[str, AlphaScores] = {}
    for kind in KINDS:
        scores: list[AlphaScores] = []
        for item in composites(library, kind, size_px, per_figure=1):
            image = normalise(
                item.image.to(device), architecture.input.mean, architecture.input.std
            )
            scores.append(score_alpha(network(image).sigmoid().cpu(), item.alpha))
        result[kind] = mean_scores(scores)
    return result


def train_unet(config: UNetConfig, host: Host | None = None) -> Path:
    """See `train`; the best weights are those of the highest sum of IoUs."""
    return train(UNetTraining, config, host)
