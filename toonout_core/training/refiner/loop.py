"""Train the refiner of masks on scenes of several characters.

The recipe is that of arXiv:2312.01943, section 4.2, with the supervision of arXiv:2203.03041: first
an encoder learns to describe true masks, then the refiner learns to say and to describe them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...host import Host
from ...models.isnet import ARCHITECTURE_REFINER
from ..data import steps_per_epoch
from ..instance_config import RefinerConfig
from ..norms import set_mode, share_statistics
from ..processes import Processes
from ..run import Training, Validated, train
from ..run_folder import is_due, unvalidated, validated_first
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
        self.scenes = read_characters(root, "train")
        self.validation = read_characters(root, "val") if config.validate_every else []
        self.units = config.encoder_epochs + config.epochs
        self.unit_steps = steps_per_epoch(len(self.scenes), config.batch, here.world)
        self.network = start_network(config, host).to(here.device)
        self.encoder = TrueMaskEncoder(width=self.network.conv_in.out_channels).to(here.device)
        self.kept = {"network": self.network, "encoder": self.encoder}
        for part in self.kept.values():
            share_statistics(part, config.norms, joined=here.joined)
        self.refining = here.share(DescribingRefiner(self.network))
        self.encoding = here.share(self.encoder)

    def groups(self) -> list[dict[str, Any]]:
        parameters = [value for part in self.kept.values() for value in part.parameters()]
        return [{"params": parameters, "weight_decay": self.config.weight_decay}]

    def batches(self, first: int) -> CharacterBatches:
        return CharacterBatches(self.scenes, self.config, **self.places(first, self.steps))

    def encodes(self, step: int) -> bool:
        """Whether it is the encoder that learns."""
        return step // self.unit_steps < self.config.encoder_epochs

    def set_mode(self, step: int) -> None:
        set_mode(self.network, self.config.norms)
        self.encoder.train(False)
        if self.encodes(step):
            set_mode(self.encoder, self.config.norms)

    def learning_rate(self, step: int) -> float:
        return learning_rate(self.config, step, self.steps)

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

    def quality(self, row: Mapping[str, float]) -> tuple[float, ...]:
        return validated_first("IoU", "BIoU", row)


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
