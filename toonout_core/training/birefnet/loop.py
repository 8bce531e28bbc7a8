"""Fine-tune BiRefNet with ToonOut's recipe (arXiv:2509.06839)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...host import Host
from ...models.birefnet import ARCHITECTURE
from ..checks import require_counts, require_pair, require_sides
from ..config import BiRefNetConfig
from ..data import steps_per_epoch
from ..examples import find_examples
from ..processes import Processes
from ..run import train
from ..training import Training, Validated
from .batches import MatteBatches, read_backgrounds
from .losses import PAIR, LossWeights, birefnet_losses
from .network import configure, start_network
from .validating import Statistics, validate

PUBLISHED_VALIDATION_STEPS = 15


class BiRefNetTraining(Training[BiRefNetConfig, tuple[Tensor, Tensor]]):
    """Batches are images and alphas, as `MatteBatches` makes them."""

    architecture = ARCHITECTURE
    parts = ("ssim", "mae", "iou", "bce", "gradient")
    panels: ClassVar = {
        "training loss, and most of it": ("loss", "mae"),
        "its smaller parts": ("ssim", "iou", "bce", "gradient"),
        "validation": ("PA", "BIoU", "BIoU_soft"),
        "validation error": ("MAE",),
    }
    shown = ("epoch", "loss", "gradient_norm", "PA", "BIoU_soft", "MAE", "seconds")

    def __init__(self, config: BiRefNetConfig, here: Processes, host: Host) -> None:
        super().__init__(config, here, host)
        require_sides("--size-px", config.size_px, unit=32, least=32)
        require_counts(config, "epochs")
        require_pair(config, here)
        root = Path(config.data)
        training, self.validation = find_examples(root, "train"), find_examples(root, "val")
        self.backgrounds = read_backgrounds(root)
        self.take(training, config.epochs, partial(MatteBatches, self.backgrounds))
        loaded = start_network(config, host)
        self.colours = Statistics(loaded.input.mean, loaded.input.std)
        self.network = configure(self.placed(loaded.network), config)
        self.kept = {"network": self.network}
        self.model = here.share(self.network)
        self.learning_rate = lambda step: learning_rate(config, step // self.unit_steps)
        self.quality = lambda row: (row["PA"], -row["MAE"])
        self.weights = LossWeights(config.ssim, config.mae, config.iou, config.bce, config.gradient)

    def losses(self, step: int, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image, alpha = (value.to(self.here.device) for value in batch)
        # dropout follows from the seed and the step, so that a run may be interrupted
        torch.manual_seed(((self.config.seed * 1_000_003 + step) << 12) + self.here.rank)
        with self.lowered():
            output = self.model(self.colours.apply(image))
        pictures = self.config.batch if self.config.as_published else PAIR
        return birefnet_losses(output, alpha, self.weights, iou_pictures=pictures)

    @torch.no_grad()
    def stepped(self, step: int) -> None:
        """As published: BatchNorm's running statistics see the validation pictures, augmented."""
        if not self.config.as_published or (step + 1) % PUBLISHED_VALIDATION_STEPS:
            return
        count = steps_per_epoch(len(self.validation), self.config.batch, self.here.world)
        places = {"first": 0, "last": count, "rank": self.here.rank, "world": self.here.world}
        leaked = MatteBatches(self.backgrounds, self.validation, self.config, **places)
        for index in range(count):
            image, _ = leaked[index]
            with self.lowered():
                self.network(self.colours.apply(image.to(self.here.device)))

    def validate(self, network: nn.Module, unit: int) -> Validated:
        return validate(network, self.validation, self.backgrounds, self.config, self.colours)


def learning_rate(config: BiRefNetConfig, epoch: int) -> float:
    """Halved after each milestone that has passed; `epoch` counts from 0."""
    return config.lr * 0.5 ** sum(epoch >= milestone for milestone in config.milestones)


def train_birefnet(config: BiRefNetConfig, host: Host | None = None) -> Path:
    """See `train`; the best weights are those of the best validation PA."""
    return train(BiRefNetTraining, config, host)
