"""Any weight file that can be loaded → safetensors under bare names, for ComfyUI and others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .errors import BadInput
from .fingerprints import Fingerprints
from .host import Host
from .loading import DTYPES, cast_floats
from .locating import WEIGHTS_KEY, identify
from .models import recognise
from .reading import CONFIG_KEY, read_state

Dtype = Literal["fp32", "fp16", "bf16"]


def convert(
    source: Path, target: Path, host: Host, *, dtype: Dtype | None = None, force: bool = False
) -> None:
    """Write all tensors of the network, those that `source` left out too; integers as they are.

    `dtype` None keeps the floats as stored. `force` replaces an existing file.
    """
    if target.suffix != ".safetensors":
        raise BadInput("the converted file's name must end in .safetensors", str(target))
    if target.exists() and not force:
        raise BadInput(
            "the converted file must be a new one", f"{target}, which exists", "Use --force."
        )
    from safetensors.torch import save_file

    row = identify(source, host)
    state, notes = _complete(source, dtype)
    if row is not None:
        notes[WEIGHTS_KEY] = row.name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        save_file(state, partial, notes)
        partial.chmod(mode)  # safetensors keeps new files from other users
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    fingerprints = Fingerprints(host)
    fingerprints.remember(
        target, fingerprints.of(target, again=True).sha256, f"converted from {source.name}"
    )


def _complete(source: Path, dtype: Dtype | None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Copies of all tensors, for the file that they are mapped from may be about to be replaced,
    and what is known of them.
    """
    state, metadata = read_state(source)
    complete = recognise(state).load(state).state_dict()
    if dtype is not None:
        complete = cast_floats(complete, DTYPES[dtype])
    owned = {
        key: value.clone(memory_format=torch.contiguous_format) for key, value in complete.items()
    }
    kept = {key: metadata[key] for key in (WEIGHTS_KEY, CONFIG_KEY) if metadata.get(key)}
    return owned, {"format": "pt", **kept}
