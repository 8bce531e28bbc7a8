"""What a training run is made of, as a record that is written beside its checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import BadInput


def explained(default: Any, text: str) -> Any:
    """A field with the explanation that the command line shows."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class UNetConfig:
    """The alpha-reconstruction U-Net.

    The paper's recipe is Adam(β = 0.5, 0.999), lr 2e-4 constant, MSE alone, 256², batch 16, flat
    backgrounds. Every default that differs from it is a field of this record.
    """

    data: str
    out: str
    seed: int = explained(7, "of weights and samples")
    # network
    widths: tuple[int, ...] = explained((24, 40, 72, 112, 160, 192), "channels, finest level first")
    patch: int = explained(2, "side of the blocks of pixels that enter together")
    separable: bool = explained(False, "depthwise and pointwise convolutions")
    init: str = explained("", "weights to start from; their shape wins over the three above")
    # data
    sizes_px: tuple[int, ...] = explained((160, 192, 224), "one is drawn for each batch")
    flat_share: float = explained(0.35, "share of samples on a plain colour")
    batch: int = explained(16, "samples per process and step")
    workers: int = explained(1, "processes that make samples")
    # optimisation
    steps: int = explained(4500, "to train in all")
    lr: float = explained(1e-3, "highest learning rate")
    warmup_steps: int = explained(200, "to reach it")
    schedule: Literal["constant", "cosine"] = explained("cosine", "of the learning rate")
    betas: tuple[float, float] = explained((0.5, 0.999), "of Adam")
    ema_decay: float = explained(0.998, "of the averaged weights, which are the result")
    mse: float = explained(1.0, "weight of the squared error")
    edge_l1: float = explained(1.0, "weight of the absolute error, edges counted five times")
    bce: float = explained(0.5, "weight of the cross-entropy")
    iou: float = explained(0.5, "weight of 1 - soft IoU")
    # running
    device: str = explained("auto", "auto, cpu, cuda, cuda:1, mps")
    precision: Literal["fp32", "bf16"] = explained("bf16", "of convolutions")
    validate_every: int = explained(500, "steps")
    checkpoint_every: int = explained(250, "steps")

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def read_config(path: Path, **overrides: Any) -> UNetConfig:
    """The record at `path`, with `overrides` put in."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} must be a configuration in JSON", str(error)) from error
    known = set(UNetConfig.__dataclass_fields__)
    if unknown := sorted(set(values) - known):
        raise BadInput(f"{path} must hold fields of UNetConfig", f"{', '.join(unknown)} as well")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()} | overrides
    if missing := [f"--{name}" for name in ("data", "out") if name not in values]:
        raise BadInput("--data and --out must be given", f"no {' and no '.join(missing)}")
    return UNetConfig(**values)
