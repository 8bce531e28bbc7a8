"""One run of any training: join, go on, step, average, check, record."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ..errors import BadInput
from ..host import Host
from .data import batches
from .processes import join_processes
from .run_folder import Rows, RunFolder, is_due, shown
from .training import Config, Training

log = logging.getLogger("toonout")


def train(kind: type[Training[Config, Any]], config: Config, host: Host | None = None) -> Path:
    """Train, go on if `config.out` holds a run, and return the best weights by validation.

    Under `torchrun` every process takes its own samples and gradients are averaged.
    """
    here = join_processes(config.device)
    host = host if host is not None and here.first else here.quiet_host
    training = kind(config, here, host)
    run = _Run(training)
    places = {"first": run.first, "last": training.steps, "rank": here.rank, "world": here.world}
    data: Any = training.dataset(**places)
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
        rest = {"params": self.parameters, "weight_decay": config.weight_decay}
        groups = training.groups or [rest]
        self.optimizer = torch.optim.AdamW(groups, config.lr, config.betas)
        self.folder = RunFolder(Path(config.out), training)
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
