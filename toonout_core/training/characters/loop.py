"""Train the head that tells characters apart, on the frozen features of a matting network."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ...host import Host
from ...models.lite_unet import ARCHITECTURE, LiteUNet
from ...models.lite_unet.characters import CharacterHead
from ...weight_files.reading import CONFIG_KEY
from ..checks import require_counts, require_sides
from ..data import normalise
from ..heads import start_network, with_head
from ..instance_config import CharactersConfig
from ..labelled_scenes import read_scenes
from ..processes import Processes
from ..rtmdet.network import parameter_groups
from ..rtmdet.validating import SCORES, require_metrics
from ..run import train
from ..run_folder import is_due, unvalidated, validated_first
from ..training import Training, Validated
from .batches import Batch, CharacterScenes
from .losses import PARTS, centre_losses, centre_truth
from .validating import validate

_LAST_RATE = 0.02  # of the highest, after the last step


class CharactersTraining(Training[CharactersConfig, Batch]):
    """Batches are images and who owns their cells, as `CharacterScenes` makes them.

    The weights hold the matting network too, as it was.
    """

    architecture = ARCHITECTURE
    parts = PARTS
    panels: ClassVar = {
        "training loss": PARTS, "validation AP": SCORES, "gradient norm": ("gradient_norm",)
    }  # fmt: skip
    shown = ("epoch", *PARTS, "gradient_norm", "mask_AP", "box_AP", "seconds")

    def __init__(self, config: CharactersConfig, here: Processes, host: Host) -> None:
        super().__init__(config, here, host)
        require_sides("--sizes-px", *config.sizes_px, unit=32, least=32)
        require_counts(config, "epochs", "zoom")
        require_metrics(config.validate_every)
        root = Path(config.data)
        training = read_scenes(root, "train")
        self.validation = read_scenes(root, "val") if config.validate_every else []
        self.take(training, config.epochs, CharacterScenes)
        self.network = start_network("characters", config, host).to(here.device)
        head = self.placed(cast("CharacterHead", self.network.characters))
        self.kept = {"head": head}
        self.groups = parameter_groups(head, config.weight_decay)
        self.model = here.share(head)
        self.learning_rate = lambda step: learning_rate(config, step, self.steps)
        self.quality = partial(validated_first, "mask_AP", "box_AP")
        self.weights = {"heat": config.heat, "way": config.way, "size": config.size}

    def set_mode(self, step: int) -> None:
        self.network.train(False)
        super().set_mode(step)

    def losses(self, step: int, batch: Batch) -> dict[str, Tensor]:
        image, owners = (value.to(self.here.device) for value in batch)
        with self.lowered():
            with torch.no_grad():
                normal = normalise(image, ARCHITECTURE.input.mean, ARCHITECTURE.input.std)
                encoded, decoded = self.network.deep_features(normal)
            found = self.model(encoded, decoded)
        return centre_losses(found, centre_truth(owners), self.weights)

    def result(self, learnt: nn.Module) -> LiteUNet:
        return with_head("characters", self.network, learnt)

    def validate(self, network: nn.Module, unit: int) -> Validated:
        config, network = self.config, cast("LiteUNet", network)
        scores = unvalidated(SCORES)
        if is_due(config.validate_every, unit, config.epochs):
            scores = validate(network, self.validation, self.here.quiet_host, config.samples)
        self.notes[CONFIG_KEY] = cast("CharacterHead", network.characters).certainty.write()
        return scores


def learning_rate(config: CharactersConfig, step: int, steps: int) -> float:
    """Warm-up in a line, then half a cosine down to 2 %."""
    warm = min(1.0, (step + 1) / max(min(config.warmup_steps, steps // 10), 1))
    done = min(step / max(steps, 1), 1.0)
    return config.lr * warm * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2)


def train_characters(config: CharactersConfig, host: Host | None = None) -> Path:
    """See `train`; the best weights are those of the best mask AP."""
    return train(CharactersTraining, config, host)
