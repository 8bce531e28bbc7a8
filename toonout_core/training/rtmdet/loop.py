"""Train RTMDet-Ins on scenes of several characters.

The recipe is that of arXiv:2312.01943, section 4.2, and of RTMDet, arXiv:2212.07784.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from ...host import Host
from ...models.rtmdet_ins import ARCHITECTURE
from ...weight_files.reading import CONFIG_KEY
from ..data import normalise
from ..instance_config import RTMDetConfig
from ..labelled_scenes import read_scenes
from ..processes import Processes
from ..run import train
from ..run_folder import is_due, unvalidated, validated_first
from ..training import Training, Validated
from .batches import Batch, SceneBatches
from .losses import InstanceLossWeights, instance_losses
from .network import check_config, configuration_text, parameter_groups, start_network
from .validating import SCORES, require_metrics, validate

_LAST_RATE = 0.05  # of the highest, after the last step


class RTMDetTraining(Training[RTMDetConfig, Batch]):
    """Trains on images and the truth about each, as `SceneBatches` makes them."""

    architecture = ARCHITECTURE
    parts = ("score", "box", "mask")
    panels: ClassVar = {
        "training loss": ("loss",),
        "its parts": parts,
        "validation AP": SCORES,
        "gradient norm": ("gradient_norm",),
    }
    shown = ("epoch", "loss", "gradient_norm", "mask_AP", "box_AP", "seconds")

    def __init__(self, config: RTMDetConfig, here: Processes, host: Host) -> None:
        super().__init__(config, here, host)
        check_config(config)
        require_metrics(config.validate_every)
        root = Path(config.data)
        training = read_scenes(root, "train")
        self.validation = read_scenes(root, "val") if config.validate_every else []
        self.take(training, config.epochs, SceneBatches)
        self.notes = {CONFIG_KEY: configuration_text(config.size_px)}
        network = self.placed(start_network(config, host))
        self.kept = {"network": network}
        self.groups = parameter_groups(network, config.weight_decay)
        self.model = here.share(network)
        pictures = config.batch * here.world
        self.learning_rate = lambda step: learning_rate(config, step, self.steps, pictures)
        self.quality = partial(validated_first, "mask_AP", "box_AP")
        weights = (config.score, config.box, config.mask, config.mask_stride)
        self.weights = InstanceLossWeights(*weights)

    def losses(self, step: int, batch: Batch) -> dict[str, Tensor]:
        image, truths = batch
        image = normalise(
            image.to(self.here.device), ARCHITECTURE.input.mean, ARCHITECTURE.input.std
        )
        with self.lowered():
            raw = self.model(image)
        truths = [truth.to(self.here.device) for truth in truths]
        return instance_losses(raw, truths, self.weights, self.here.mean)

    def decay(self, step: int) -> float:
        return ema_decay(self.config, step)

    def validate(self, network: nn.Module, unit: int) -> Validated:
        config = self.config
        if not is_due(config.validate_every, unit, config.epochs):
            return unvalidated(SCORES)
        options = {"side_px": config.size_px, "samples": config.samples}
        return validate(network, self.validation, self.here.quiet_host, **options)


def learning_rate(config: RTMDetConfig, step: int, steps: int, pictures: int) -> float:
    """Return the rate of a step, in proportion to the `pictures` of a step.

    It rises in a line, stays constant to the middle of `steps`, and falls by half a cosine to 5 %.
    """
    highest = config.lr * (pictures / config.lr_pictures if config.lr_pictures else 1.0)
    warm = min(1.0, (step + 1) / max(min(config.warmup_steps, steps // 10), 1))
    late = min(max(2 * step / steps - 1, 0.0), 1.0)
    return highest * warm * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * late)) / 2)


def ema_decay(config: RTMDetConfig, step: int) -> float:
    """Return the decay of averaged weights: it rises from 0 to the one in `config`."""
    return config.ema_decay * (1 - math.exp(-(step + 1) / max(config.ema_steps, 1)))


def train_rtmdet(config: RTMDetConfig, host: Host | None = None) -> Path:
    """Train as `train` says. The best weights are those of the best mask AP."""
    return train(RTMDetTraining, config, host)
