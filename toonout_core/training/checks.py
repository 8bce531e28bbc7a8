"""What every training refuses before it reads anything. All raise BadInput."""

from __future__ import annotations

from typing import Any

from ..errors import BadInput
from .config import TrainingConfig
from .processes import Processes


def require_counts(config: TrainingConfig, *names: str) -> None:
    """All of these fields are at least 1."""
    counts: list[Any] = [getattr(config, name) for name in names]
    if min(counts) < 1:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in names)
        raise BadInput(f"{options} must be at least 1", " and ".join(map(str, counts)))


def require_sides(option: str, *sides_px: int, unit: int, least: int) -> None:
    """The network can halve pictures of these sides as often as it does."""
    if any(side % unit or side < least for side in sides_px):
        what = f"multiples of {unit}, and at least {least}"
        raise BadInput(f"{option} must be {what}", " ".join(map(str, sides_px)))


def require_cuda(config: TrainingConfig, here: Processes) -> None:
    """Several processes that share BatchNorm's statistics have CUDA."""
    if here.joined and config.norms == "sync" and here.device.type != "cuda":
        device = here.device.type
        raise BadInput("--norms sync must have cuda", device, "Give --norms batch or kept.")


def require_pair(config: TrainingConfig, here: Processes) -> None:
    """BatchNorm's statistics are not those of one picture."""
    seen = config.batch * here.world if config.norms == "sync" else config.batch
    if seen < 2 and config.norms != "kept":
        raise BadInput(
            "--batch must be at least 2 where BatchNorm takes its statistics from the batch",
            str(config.batch),
            "Or give --norms kept.",
        )
