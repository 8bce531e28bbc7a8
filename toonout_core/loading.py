"""Name or path → verified file → network."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .errors import BadInput, CorruptWeights, UnknownModel
from .host import Host
from .models import Architecture, recognise
from .reading import read_state
from .weights import WEIGHTS, PatchOrder, Task, Weights, find

log = logging.getLogger("toonout")

Precision = Literal["auto", "fp32", "fp16", "bf16"]
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready for inference, on the CPU, and what it wants to be fed."""

    network: nn.Module
    architecture: Architecture
    weights: Weights | None  # None: a file that the table does not know
    path: Path
    dtype: torch.dtype

    @property
    def name(self) -> str:
        return self.weights.name if self.weights else self.path.stem

    @property
    def input_size_hw(self) -> tuple[int, int]:
        return self.weights.input_size_hw if self.weights else self.architecture.input_size_hw

    @property
    def mean(self) -> tuple[float, float, float]:
        return self.weights.mean if self.weights else self.architecture.mean

    @property
    def std(self) -> tuple[float, float, float]:
        return self.weights.std if self.weights else self.architecture.std

    @property
    def licence(self) -> str:
        return self.weights.licence if self.weights else "unknown"


def load_network(
    name_or_path: str | Path,
    host: Host,
    *,
    task: Task = "matting",
    precision: Precision = "auto",
    patch_order: PatchOrder | None = None,
    download: bool = True,
    verify: bool = False,
) -> LoadedNetwork:
    """The network of a name in the table, of a file in the host's folders, or of any file.

    `patch_order` overrides the table's. `download=False` forbids any use of the network.
    `verify` computes the file's sha256 again.
    """
    started = time.perf_counter()
    path, row = _locate(name_or_path)
    state, _ = read_state(path)
    try:
        architecture = recognise(state)
        dtype = choose_dtype(precision, architecture, host)
        network = architecture.load(cast_floats(state, dtype))
    except CorruptWeights as error:
        raise CorruptWeights(f"{path}: {error}") from error
    if architecture.patch_order is not None:
        order = patch_order or (row.patch_order if row else architecture.patch_order)
        setattr(network, "patch_order", order)  # noqa: B010
    loaded = LoadedNetwork(network, architecture, row, path, dtype)
    seconds = time.perf_counter() - started
    log.info("%s: %s, %s, loaded in %.1f s", loaded.name, architecture.id, dtype, seconds)
    return loaded


def choose_dtype(precision: Precision, architecture: Architecture, host: Host) -> torch.dtype:
    """What "auto" means: fp16 on cuda if the architecture is sound in it, else fp32."""
    if precision == "auto":
        with host.on_device(nn.Identity(), 0) as device:
            return torch.float16 if device.type == "cuda" and architecture.half else torch.float32
    if precision not in DTYPES:
        raise BadInput("precision must be auto, fp32, fp16 or bf16", repr(precision))
    if precision != "fp32" and not architecture.half:
        raise BadInput(f"the precision of {architecture.id} must be fp32", precision)
    return DTYPES[precision]


def cast_floats(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Floating point tensors as `dtype`; integers as they are."""
    return {
        key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()
    }


def _locate(name_or_path: str | Path) -> tuple[Path, Weights | None]:
    row = find(str(name_or_path))
    if row is not None and row.embedded:
        return ASSETS / row.file, row
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(row.name for row in WEIGHTS)
        raise UnknownModel(f"The model must be one of {names} or a file, but is {name_or_path!r}.")
    return path, None
