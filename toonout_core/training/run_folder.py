"""What the folder of a run is filled with, and what a run goes on from."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..host import Host
from ..output.writing import write
from .checkpoints import load_run, save_run, save_weights
from .config import write_record
from .curves import draw_curves, write_table
from .training import Training

log = logging.getLogger("toonout")

Batch = TypeVar("Batch")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class RunFolder:
    """A row begins with the unit that is counted, epochs or steps."""

    out: Path
    training: Training[Any, Any]

    def resume(
        self, kept: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
    ) -> dict[str, Any]:
        """Put back what `keep` left, and return its notes; nothing where no run is."""
        path = self.out / "state.safetensors"
        return load_run(path, kept, optimizer) if path.is_file() else {}

    def begin(self, config: Any) -> None:
        """Make the folder and write the record of the run into it."""
        self.out.mkdir(parents=True, exist_ok=True)
        write_record(config, self.out / "config.json")

    def record(self, rows: Rows, network: nn.Module, sheet: Tensor | None) -> None:
        """The last epoch's weights, the best ones if it is the best, table, curves and samples."""
        last = rows[-1]
        told = [name for name in self.training.shown if not math.isnan(last.get(name, math.nan))]
        log.info("%s", ", ".join(f"{name} {last[name]:.5g}" for name in told))
        self._save(network, "last")
        if max(rows, key=self.training.quality) is last:
            self._save(network, "best")
        write_table(self.out / "curve.csv", rows)
        unit = next(iter(last))
        write(self.out / "curve.png", draw_curves(rows, self.training.panels, unit), overwrite=True)
        if sheet is not None:
            name = f"{unit}_{int(last[unit]):03d}.png"
            write(self.out / "samples" / name, sheet, overwrite=True)

    def keep(
        self,
        kept: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        notes: Mapping[str, Any],
    ) -> None:
        """All that is needed to go on from here."""
        save_run(self.out / "state.safetensors", kept, optimizer, notes)

    def _save(self, network: nn.Module, name: str) -> None:
        path = self.out / f"{name}.safetensors"
        save_weights(network, path, self.training.architecture.id, notes=self.training.notes)


def is_due(every: int, unit: int, last: int) -> bool:
    """Whether it is the turn of a unit, counted from 1: every so many of them, and the last."""
    return bool(every) and (unit % every == 0 or unit == last)


def unvalidated(scores: Iterable[str]) -> tuple[dict[str, float], None]:
    """No number for any of them, and no sheet."""
    return dict.fromkeys(scores, math.nan), None


def validated_first(first: str, second: str, row: Mapping[str, float]) -> tuple[float, ...]:
    """A quality: two figures, no number if the epoch was not validated; of equals the later."""
    figures = (row[first], row[second])
    return (*(-1.0 if math.isnan(figure) else figure for figure in figures), row["epoch"])


def shown(stream: Iterable[Batch], host: Host, total: int) -> Iterator[Batch]:
    """`stream`, with its progress on the host."""
    with host.progress(total, "training") as step:
        for item in stream:
            yield item
            step()
