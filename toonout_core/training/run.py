"""One run of any training: join, go on, step, average, check, record.

A network fills in a `Training`; `train` does the rest.
"""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import Dataset

from ..errors import BadInput
from ..host import Host
from ..models import Architecture
from .config import TrainingConfig
from .data import batches
from .processes import Processes, join_processes
from .run_folder import Rows, RunFolder, is_due, shown

log = logging.getLogger("toonout")

Config = TypeVar("Config", bound=TrainingConfig)
Batch = TypeVar("Batch")
Validated = tuple[dict[str, float], Tensor | None]  # figures by name, and a sheet of samples


class Training(ABC, Generic[Config, Batch]):
    """What a network gives to `train`.

    A run has `units`, epochs as a rule, of `unit_steps` steps each. `parts` names the losses.
    `kept` is what learns, by its name in the file that a run goes on from: its first network, or
    the average of it, becomes the result. `notes` are texts that are kept beside the weights.
    """

    architecture: Architecture
    parts: ClassVar[tuple[str, ...]]
    panels: ClassVar[Mapping[str, Sequence[str]]]  # titles and columns of the curves
    shown: ClassVar[tuple[str, ...]]  # columns of the log
    unit: ClassVar[str] = "epoch"

    kept: dict[str, nn.Module]
    units: int
    unit_steps: int
    record_every = 1  # units
    keep_every = 1

    def __init__(self, config: Config, here: Processes, host: Host) -> None:
        """Who inherits checks `config`, reads the pictures and starts the network, in that order.

        Raises BadInput for what cannot work; nothing is written.
        """
        self.config, self.here, self.host = config, here, host
        self.notes: dict[str, str] = {}

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.units * self.unit_steps

    def places(self, first: int, last: int) -> dict[str, int]:
        """Which steps of which process, for `EpochBatches`."""
        return {"rank": self.here.rank, "world": self.here.world, "first": first, "last": last}

    def lowered(self) -> torch.autocast:
        """The context of forward passes: bf16, if that was asked for."""
        enabled = self.config.precision == "bf16"
        return torch.autocast(self.here.device.type, torch.bfloat16, enabled=enabled)

    @abstractmethod
    def groups(self) -> list[dict[str, Any]]:
        """What AdamW takes; a group's `rate` is a factor of the learning rate."""

    @abstractmethod
    def batches(self, first: int) -> Dataset[Batch]:
        """What this process sees from step `first` on."""

    @abstractmethod
    def set_mode(self, step: int) -> None:
        """Put all networks into training mode, at the first step and after each validation."""

    @abstractmethod
    def learning_rate(self, step: int) -> float:
        """In that step, counted from 0."""

    @abstractmethod
    def losses(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Some of `parts`, each times its weight: their sum is made small."""

    def stepped(self, step: int) -> None:
        """Called when the networks have changed."""

    def decay(self, step: int) -> float:
        """What the average keeps of itself: at first it forgets what was random."""
        return min(self.config.ema_decay, (step + 1) / (step + 10))

    def result(self, learnt: nn.Module) -> nn.Module:
        """The network whose first kept part is `learnt`."""
        return learnt

    @abstractmethod
    def validate(self, network: nn.Module, unit: int) -> Validated:
        """Of a result; no number where a unit is not validated."""

    @abstractmethod
    def quality(self, row: Mapping[str, float]) -> tuple[float, ...]:
        """The larger, the better; the first of the largest is the best."""

    def read_old_state(self, kept: Mapping[str, nn.Module], optimizer: Any) -> dict[str, Any]:
        """The notes of a run in a format of former days, which is put back; or nothing."""
        return {}


def train(kind: type[Training[Config, Any]], config: Config, host: Host | None = None) -> Path:
    """Train, go on if `config.out` holds a run, and return the best weights by validation.

    Under `torchrun` every process takes its own samples and gradients are averaged.
    """
    here = join_processes(config.device)
    host = host if host is not None and here.first else here.quiet_host
    training = kind(config, here, host)
    run = _Run(training)
    data: Any = training.batches(run.first)
    if here.first:
        run.folder.begin(config)
    training.set_mode(run.first)
    for step, batch in enumerate(shown(batches(data, config.workers), host, len(data)), run.first):
        run.step(step, batch)
        run.look(step + 1)
    here.leave()
    return run.folder.out / "best.safetensors"


class _Run:
    """Networks, averages, optimiser and figures between one step and the next."""

    def __init__(self, training: Training[Any, Any]) -> None:
        self.training, self.here = training, training.here
        config, kept = training.config, dict(training.kept)
        self.learning = next(iter(kept.values()))
        self.parameters = [value for part in kept.values() for value in part.parameters()]
        self.averaged = averaged_of(self.learning, training) if config.ema_decay else None
        if self.averaged is not None:
            kept["averaged"] = self.averaged.module
        self.kept = kept
        self.optimizer = torch.optim.AdamW(training.groups(), config.lr, config.betas)
        self.folder = RunFolder(
            Path(config.out), training.architecture.id, training.panels, training.shown,
            training.quality, training.notes,
        )  # fmt: skip
        notes = self.folder.resume(kept, self.optimizer)
        notes = notes or training.read_old_state(kept, self.optimizer)
        self.rows: Rows = notes.get("rows", [])
        done = notes.get("at", len(self.rows))
        if done:
            log.info("resumed after %s %d", training.unit, done)
        self.first = done * training.unit_steps
        if self.averaged is not None:
            self.averaged.n_averaged += self.first
        # of every part, of the norm of gradients, and of steps
        sums = notes.get("sums", [0.0] * (len(training.parts) + 2))
        self.sums = torch.tensor(sums, device=self.here.device)
        self.names: Sequence[str] = ()
        self.started = time.monotonic()

    def step(self, step: int, batch: Any) -> None:
        training, rate = self.training, self.training.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate", 1.0)
        parts = training.losses(step, batch)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, training.config.clip)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.learning)
        training.stepped(step)
        self.names, absent = tuple(parts), norm.new_full((), math.nan)
        values = [parts.get(name, absent).detach() for name in training.parts]
        self.sums += torch.stack([*values, norm, torch.ones_like(norm)])

    def look(self, done: int) -> None:
        """After a step: figures and files, if they are due."""
        training = self.training
        unit, rest = divmod(done, training.unit_steps)
        recorded = is_due(training.record_every, unit, training.units)
        kept = is_due(training.keep_every, unit, training.units)
        if rest or not (recorded or kept):
            return
        self.sums = self.here.mean(self.sums)
        figures = self._figures(unit, training.learning_rate(done - 1))
        if recorded:
            self.sums.zero_()
            if self.here.first:
                self._record(figures)
            training.set_mode(done)
        if kept and self.here.first:
            notes = {"rows": self.rows, "at": unit, "sums": self.sums.tolist()}
            self.folder.keep(self.kept, self.optimizer, notes)

    def _figures(self, unit: int, rate: float) -> dict[str, Any]:
        """Means over the steps since the last row. Raises BadInput if they are not finite."""
        *means, norm = (self.sums[:-1] / self.sums[-1]).tolist()
        parts = dict(zip(self.training.parts, means, strict=True))
        loss = sum(parts[name] for name in self.names)
        if not math.isfinite(loss + norm):
            raise BadInput(
                "the loss and its gradients must stay finite",
                f"{loss:.5g} and {norm:.5g} in {self.training.unit} {unit}",
                "Start again with a lower --lr: the run goes on from its last good state.",
            )
        return {
            self.training.unit: unit, "lr": rate, "loss": loss, **parts, "gradient_norm": norm
        }  # fmt: skip

    def _record(self, figures: dict[str, Any]) -> None:
        learnt = self.learning if self.averaged is None else self.averaged.module
        result = self.training.result(learnt)
        scores, sheet = self.training.validate(result, figures[self.training.unit])
        seconds = round(time.monotonic() - self.started, 1)
        self.rows.append(figures | scores | {"seconds": seconds})
        self.folder.record(self.rows, result, sheet)


def averaged_of(network: nn.Module, training: Training[Any, Any]) -> AveragedModel:
    """The moving average of parameters and of what BatchNorm counts, once for every tensor.

    Its first value is `network` as it is, so that it counts from 1: in step n (from 0) it keeps
    `training.decay(n)` of itself.
    """

    @torch.no_grad()
    def update(means: Any, values: Any, _: Any) -> None:
        rest = 1 - training.decay(int(averaged.n_averaged) - 1)
        for mean, value in zip(means, values, strict=True):
            mean.lerp_(value, rest) if mean.is_floating_point() else mean.copy_(value)

    averaged = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    averaged.n_averaged += 1
    return averaged
