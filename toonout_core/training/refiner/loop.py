"""Train the refiner of masks on scenes of several characters.

The recipe is that of arXiv:2312.01943, section 4.2, with the supervision of arXiv:2203.03041: first
an encoder learns to describe true masks, then the refiner learns to say and to describe them.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from ...host import Host
from ...models.isnet import ARCHITECTURE_REFINER
from ..instance_config import RefinerConfig
from ..processes import Processes
from ..run import train
from ..run_folder import is_due, unvalidated, validated_first
from ..training import Training, Validated
from .batches import Batch, CharacterBatches, read_characters
from .losses import feature_loss, side_loss
from .network import check_config, start_network
from .true_mask_encoder import Described, DescribingRefiner, TrueMaskEncoder, in_float
from .validating import SCORES, validate


class RefinerTraining(Training[RefinerConfig, Batch]):
    """Batches are images with coarse masks, and true masks, as `CharacterBatches` makes them."""

    architecture = ARCHITECTURE_REFINER
    parts = ("encoder", "maps", "features")
    panels: ClassVar = {
        "training loss": ("maps",),
        "distance of features": ("features",),
        "encoder of true masks": ("encoder",),
        "validation": SCORES,
    }
    shown = ("epoch", *parts, "gradient_norm", "IoU", "BIoU", "seconds")

    def __init__(self, config: RefinerConfig, here: Processes, host: Host) -> None:
        super().__init__(config, here, host)
        check_config(config, here)
        root = Path(config.data)
        training = read_characters(root, "train")
        self.validation = read_characters(root, "val") if config.validate_every else []
        self.take(training, config.encoder_epochs + config.epochs, CharacterBatches)
        network = self.placed(start_network(config, host))
        self.encoder = self.placed(TrueMaskEncoder(width=network.conv_in.out_channels))
        self.kept = {"network": network, "encoder": self.encoder}
        self.refining = here.share(DescribingRefiner(network))
        self.encoding = here.share(self.encoder)
        self.learning_rate = lambda step: learning_rate(config, step, self.steps)
        self.quality = partial(validated_first, "IoU", "BIoU")

    def encodes(self, step: int) -> bool:
        """Whether it is the encoder that learns."""
        return step // self.unit_steps < self.config.encoder_epochs

    def set_mode(self, step: int) -> None:
        super().set_mode(step)
        if not self.encodes(step):
            self.encoder.train(False)

    def losses(self, step: int, batch: Batch) -> dict[str, Tensor]:
        image, mask = (value.to(self.here.device) for value in batch)
        described = encoded = None
        with self.lowered():
            if self.encodes(step):
                encoded = self.encoding(mask)
            else:
                described = self.refining(image)
                if self.config.encoder_epochs:
                    with torch.no_grad():
                        encoded = self.encoder(mask)
        return losses(described, encoded, mask, self.config)

    def decay(self, step: int) -> float:
        """Nothing is averaged while the encoder learns."""
        return 1.0 if self.encodes(step) else super().decay(step)

    def validate(self, network: nn.Module, unit: int) -> Validated:
        every, first = self.config.validate_every, self.config.encoder_epochs
        if unit <= first or not is_due(every, unit, self.units):
            return unvalidated(SCORES)
        return validate(network, self.validation, self.config)


def learning_rate(config: RefinerConfig, step: int, steps: int) -> float:
    """Constant, or half a cosine down to 1 %."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * min(step / steps, 1.0))) / 2)


def losses(
    described: Described | None, encoded: Described | None, mask: Tensor, config: RefinerConfig
) -> dict[str, Tensor]:
    """Of the encoder of true masks while nothing is `described`, then of the refiner."""
    if described is None:
        assert encoded is not None
        return {"encoder": side_loss(in_float(encoded)[0], mask, finest_weight=1)}
    logits, features = in_float(described)
    parts = {"maps": side_loss(logits, mask, finest_weight=config.finest)}
    if encoded is not None:
        parts["features"] = config.features * feature_loss(features, in_float(encoded)[1])
    return parts


def train_refiner(config: RefinerConfig, host: Host | None = None) -> Path:
    """See `train`; the best weights are those of the best validation IoU."""
    return train(RefinerTraining, config, host)
