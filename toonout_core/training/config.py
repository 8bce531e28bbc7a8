"""What a training run is made of, as a record that is written beside its checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import BadInput


@dataclass(frozen=True)
class UNetConfig:
    """The alpha-reconstruction U-Net.

    The paper's recipe is Adam(β = 0.5, 0.999), lr 2e-4 constant, MSE alone, 256², batch 16, flat
    backgrounds. Every default that differs from it is a field of this record.
    """

    data: str
    out: str
    seed: int = 7
    # network
    widths: tuple[int, ...] = (24, 40, 72, 112, 160, 192)
    patch: int = 2
    separable: bool = False
    init: str = ""  # weights to start from; their shape wins over the three above
    # data
    sizes_px: tuple[int, ...] = (192, 256, 320)  # one is drawn for each batch
    flat_share: float = 0.4  # of the samples stand on a plain colour
    batch: int = 16  # per process
    workers: int = 1
    # optimisation
    steps: int = 4000
    lr: float = 2e-4
    warmup_steps: int = 200
    schedule: Literal["constant", "cosine"] = "cosine"
    betas: tuple[float, float] = (0.5, 0.999)
    ema_decay: float = 0.998
    mse: float = 1.0
    edge_l1: float = 1.0
    bce: float = 0.5
    iou: float = 0.5
    # running
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "bf16"
    validate_every: int = 500
    checkpoint_every: int = 250

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
