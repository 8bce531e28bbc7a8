"""What the folder of a run is filled with after every epoch, and what a run goes on from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..host import Host
from ..output.writing import write
from .checkpoints import load_run, save_run, save_weights
from .config import write_record
from .curves import draw_curves, write_table

log = logging.getLogger("toonout")

Batch = TypeVar("Batch")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class RunFolder:
    """`panels`: titles and columns of the curves; `shown`: the columns of the log.

    `quality` of a row: the larger, the better; the first of the largest is the best epoch.
    `notes` are kept beside the weights.
    """

    out: Path
    architecture: str
    panels: Mapping[str, Sequence[str]]
    shown: Sequence[str]
    quality: Callable[[Mapping[str, float]], tuple[float, ...]]
    notes: Mapping[str, str] = field(default_factory=dict[str, str])

    def resume(self, kept: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> Rows:
        """Put back what the last whole epoch left; the rows of the epochs that are done."""
        path = self.out / "state.safetensors"
        if not path.is_file():
            return []
        rows: Rows = load_run(path, kept, optimizer)["rows"]
        log.info("resumed after epoch %d", len(rows))
        return rows

    def begin(self, config: Any) -> None:
        """Make the folder and write the record of the run into it."""
        self.out.mkdir(parents=True, exist_ok=True)
        write_record(config, self.out / "config.json")

    def record(self, rows: Rows, network: nn.Module, sheet: Tensor | None) -> None:
        """The last epoch's weights, the best ones if it is the best, table, curves and samples."""
        last = rows[-1]
        told = [name for name in self.shown if not math.isnan(last.get(name, math.nan))]
        log.info("%s", ", ".join(f"{name} {last[name]:.5g}" for name in told))
        self._save(network, "last")
        if max(rows, key=self.quality) is last:
            self._save(network, "best")
        write_table(self.out / "curve.csv", rows)
        write(self.out / "curve.png", draw_curves(rows, self.panels, "epoch"), overwrite=True)
        if sheet is not None:
            name = f"epoch_{int(last['epoch']):03d}.png"
            write(self.out / "samples" / name, sheet, overwrite=True)

    def keep(
        self, kept: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, rows: Rows
    ) -> None:
        """All that is needed to go on after this epoch."""
        save_run(self.out / "state.safetensors", kept, optimizer, {"rows": rows})

    def _save(self, network: nn.Module, name: str) -> None:
        path = self.out / f"{name}.safetensors"
        save_weights(network, path, self.architecture, notes=self.notes)


def is_due(every: int, epoch: int, last: int) -> bool:
    """Whether an epoch, counted from 1, is validated: every so many of them, and the last."""
    return bool(every) and (epoch % every == 0 or epoch == last)


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
