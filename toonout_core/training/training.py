"""What a network gives to `run.train`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from ..host import Host
from ..models import Architecture
from .checks import require_counts, require_cuda
from .config import TrainingConfig
from .data import steps_per_epoch
from .norms import set_mode
from .processes import Processes

Config = TypeVar("Config", bound=TrainingConfig)
Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)
Validated = tuple[dict[str, float], Tensor | None]  # figures by name, and a sheet of samples


class Training(ABC, Generic[Config, Batch]):
    """What a network gives to `train`; whoever inherits fills in what is only named here."""

    architecture: Architecture
    parts: ClassVar[tuple[str, ...]]  # names of the losses
    panels: ClassVar[Mapping[str, Sequence[str]]]  # titles and columns of the curves
    shown: ClassVar[tuple[str, ...]]  # columns of the log

    # a run has `units` of `unit_steps` steps each, and is written down after every so many units
    unit: ClassVar[str] = "epoch"
    units: int
    unit_steps: int
    record_every = keep_every = 1

    # what learns, by its name in the state file: the first becomes the result, or its average
    kept: dict[str, nn.Module]
    groups: Sequence[dict[str, Any]] = ()  # for AdamW, if not all alike; `rate`: factor of the rate
    learning_rate: Callable[[int], float]  # of a step, counted from 0
    dataset: Callable[..., Any]  # of the steps and the process, as `EpochBatches` takes them
    quality: Callable[[Mapping[str, float]], tuple[float, ...]]  # of a row: larger is better

    def __init__(self, config: Config, here: Processes, host: Host) -> None:
        """Who inherits checks `config`, reads the pictures and starts the network, in that order.

        Raises BadInput for what cannot work; nothing is written.
        """
        require_counts(config, "batch")
        require_cuda(config, here)
        self.config, self.here, self.host = config, here, host
        self.notes: dict[str, str] = {}  # texts that are kept beside the weights

    def take(self, examples: Sequence[Any], epochs: int, make: Callable[..., Any]) -> None:
        """Epochs, in which every example is seen once; `make` is of `EpochBatches`."""
        self.dataset, self.units = partial(make, examples, self.config), epochs
        self.unit_steps = steps_per_epoch(len(examples), self.config.batch, self.here.world)

    def placed(self, network: Network) -> Network:
        """`network` on the device of this process, BatchNorm as `norms` says."""
        if self.config.norms == "sync" and self.here.joined:
            nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network.to(self.here.device)

    def lowered(self) -> torch.autocast:
        """The context of forward passes: bf16, if that was asked for."""
        enabled = self.config.precision == "bf16"
        return torch.autocast(self.here.device.type, torch.bfloat16, enabled=enabled)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.units * self.unit_steps

    @abstractmethod
    def losses(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Some of `parts`, each times its weight: their sum is made small."""

    @abstractmethod
    def validate(self, network: nn.Module, unit: int) -> Validated:
        """Of a result; no number where a unit is not validated."""

    def set_mode(self, step: int) -> None:
        """Training mode, at the first step and after each validation."""
        for part in self.kept.values():
            set_mode(part, self.config.norms)

    def stepped(self, step: int) -> None:
        """Called when the networks have changed."""

    def decay(self, step: int) -> float:
        """What the average keeps of itself: at first it forgets what was random."""
        return min(self.config.ema_decay, (step + 1) / (step + 10))

    def result(self, learnt: nn.Module) -> nn.Module:
        """The network of which `learnt` is what is kept first."""
        return learnt

    def read_old_state(self, kept: Mapping[str, nn.Module], optimizer: Any) -> dict[str, Any]:
        """Put back a run in a format of former days, and return its notes; nothing without one."""
        return {}
