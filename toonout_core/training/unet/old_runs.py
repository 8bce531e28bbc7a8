"""Runs of before there was one file format for all: `last.pt`, and the rows of `curve.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from ..checkpoints import other_run


def read_old_run(
    out: Path, kept: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put back what OUT/last.pt holds, and return the notes of it; nothing without one.

    Raises BadInput for another run's.
    """
    path = out / "last.pt"
    if not path.is_file():
        return {}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, network in kept.items():
            network.load_state_dict(state[name])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    except (RuntimeError, UnpicklingError, KeyError, TypeError, ValueError, EOFError) as error:
        raise other_run(path) from error
    return {"at": step, "rows": _rows(out / "curve.csv", step)}


def _rows(path: Path, last: int) -> list[dict[str, float]]:
    """The rows up to step `last`, which old runs wrote again when they were gone on with."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items()}
                    for row in csv.DictReader(file)]  # fmt: skip
        by_step = {int(row["step"]): row | {"step": int(row["step"])} for row in rows}
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError) as error:
        raise other_run(path) from error
    return [row for step, row in sorted(by_step.items()) if step <= last]
