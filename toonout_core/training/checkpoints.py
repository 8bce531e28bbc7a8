"""What a run leaves behind: weights to use, and all that is needed to go on. Each file is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..errors import BadInput
from ..weight_files.writing import write_safetensors


def save_weights(
    network: nn.Module,
    path: Path,
    architecture: str,
    dtype: torch.dtype = torch.float32,
    *,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Atomic; `num_batches_tracked` has no use after training and is left out.

    `notes` are texts kept beside the tensors.
    """
    state = {
        key: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype)
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    metadata = {"format": "pt", "architecture": architecture, **(notes or {})}
    write_safetensors(_apart(state), path, metadata)


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A tensor that has several names is copied for each but the first: the format wants that."""
    seen: set[int] = set()
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        place = value.data_ptr()
        result[key] = value.clone() if place in seen else value.contiguous()
        seen.add(place)
    return result


def save_run(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    notes: Mapping[str, Any],
) -> None:
    """All that a run needs to go on, as one safetensors file; `notes` are what JSON can hold."""
    state = {
        f"{name}.{key}": value.detach().cpu()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            state[f"optimizer.{index}.{key}"] = torch.as_tensor(value).detach().cpu()
    write_safetensors(_apart(state), path, {"format": "pt", "notes": json.dumps(notes)})


def load_run(
    path: Path, networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put back what `save_run` kept, and return the notes. Raises BadInput for another run's."""
    try:
        with safe_open(path, "pt") as file:
            notes = json.loads((file.metadata() or {})["notes"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for name, network in networks.items():
            network.load_state_dict(_below(state, name))
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise other_run(path) from error
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in _below(state, "optimizer").items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return notes


def other_run(path: Path) -> BadInput:
    """What to raise for a file that a run cannot go on from."""
    return BadInput(
        f"{path} must hold a run of this network, in this size",
        "a run of another one, or a damaged file",
        "Give another --out, or delete the file to begin anew.",
    )


def _below(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
