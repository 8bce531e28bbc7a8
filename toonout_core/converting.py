"""Turn any weight file that can be loaded into a safetensors file with bare names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .errors import BadInput, CorruptWeights
from .host import Host
from .loading import DTYPES, stated_feeding
from .models import recognise
from .weight_files.feeding import KEYS, NOTHING_STATED, Feeding
from .weight_files.fingerprints import Fingerprints
from .weight_files.locating import WEIGHTS_KEY, identify
from .weight_files.reading import CONFIG_KEY, read_state
from .weight_files.writing import write_safetensors
from .words import Dtype


def convert(
    source: Path,
    target: Path,
    host: Host,
    *,
    dtype: Dtype | None = None,
    feeding: Feeding = NOTHING_STATED,
    force: bool = False,
) -> None:
    """Write all tensors of the network to `target`, also those that `source` leaves out.

    `dtype` None keeps the floats as they are stored; integers always stay as they are. `feeding`:
    what the new file states of itself, beside what `source` states already. `force` replaces an
    existing file.
    """
    _check_target(target, force)
    row = identify(source, host)
    state, notes = _complete(source, dtype, feeding)
    if row is not None:
        notes[WEIGHTS_KEY] = row.name
    _write(state, notes, target, host, f"converted from {source.name}")


def average(
    sources: Sequence[Path],
    target: Path,
    host: Host,
    *,
    shares: Sequence[float] | None = None,
    dtype: Dtype | None = None,
    force: bool = False,
) -> None:
    """Write the mean of several states of one network, weighted by `shares` (equal if not given).

    Runs that started from the same weights lie in one valley of the loss. Their mean is often
    better than each of them (model soups: Wortsman et al., ICML 2022). Integers are those of the
    last file.
    """
    _check_target(target, force)
    weights = [1.0] * len(sources) if shares is None else list(shares)
    if len(weights) != len(sources) or len(weights) < 2 or min(weights) < 0 or not sum(weights):
        raise BadInput(
            "two or more files must have a share each, none below 0",
            f"{len(sources)} files with the shares {weights}",
        )
    total: dict[str, Tensor] = {}
    told: dict[str, str] = {}
    for source, weight in zip(sources, weights, strict=True):
        state, stated = _complete(source, None)
        _check_alike(state, total, source)
        told = told or stated
        _check_told_alike(told, stated, source)
        for key, value in state.items():
            if value.is_floating_point():
                part = value.to(torch.float64) * (weight / sum(weights))
                total[key] = total[key] + part if key in total else part
            else:
                total[key] = value
    last, notes = _complete(sources[-1], dtype)
    mean = {key: total[key].to(value.dtype) for key, value in last.items()}
    named = ", ".join(source.name for source in sources)
    _write(mean, notes, target, host, f"mean of {named}")


def _check_alike(state: dict[str, Tensor], total: dict[str, Tensor], source: Path) -> None:
    shapes = {key: value.shape for key, value in state.items()}
    if total and shapes != {key: value.shape for key, value in total.items()}:
        raise BadInput(
            "the files must hold the same network",
            f"{source.name} with other tensors or sizes",
        )


def _check_told_alike(told: dict[str, str], stated: dict[str, str], source: Path) -> None:
    for key in KEYS:
        if told.get(key) != stated.get(key):
            raise BadInput(
                f"the files must state the same {key}, which is {told.get(key, 'not stated')}",
                f"{source.name} with {stated.get(key, 'none')}",
            )


def _check_target(target: Path, force: bool) -> None:
    if target.suffix != ".safetensors":
        raise BadInput("the converted file's name must end in .safetensors", str(target))
    if target.exists() and not force:
        raise BadInput(
            "the converted file must be a new one", f"{target}, which exists", "Use --force."
        )


def _write(
    state: dict[str, Tensor], notes: dict[str, str], target: Path, host: Host, origin: str
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(state, target, notes)
    fingerprints = Fingerprints(host)
    fingerprints.remember(target, fingerprints.of(target, again=True).sha256, origin)


def _complete(
    source: Path, dtype: Dtype | None, feeding: Feeding = NOTHING_STATED
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return copies of all tensors, and what is known of them, `feeding` included.

    They are copies because `source` is mapped into memory and may be replaced by what is written.
    """
    state, metadata = read_state(source)
    architecture = recognise(state)
    feeding.check(architecture)
    try:
        stated = stated_feeding({**metadata, **feeding.stated()}, architecture).stated()
    except CorruptWeights as error:
        raise CorruptWeights(f"{source}: {error}") from error
    wanted = DTYPES[dtype] if dtype is not None else None
    complete = architecture.load(state).state_dict()
    owned = {key: _owned(value, wanted) for key, value in complete.items()}
    kept = {key: metadata[key] for key in (WEIGHTS_KEY, CONFIG_KEY) if metadata.get(key)}
    return owned, {"format": "pt", **kept, **stated}


def _owned(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Copy a tensor, as `dtype` if it is one of floating point numbers and `dtype` can hold them.

    A variance above 65504 cannot be held in fp16, so that it stays as it is.
    """
    casts = dtype is not None and value.is_floating_point() and _holds(dtype, value)
    return value.to(dtype if casts else value.dtype, copy=True).contiguous()


def _holds(dtype: torch.dtype, value: Tensor) -> bool:
    if dtype != torch.float16 or value.dtype == dtype or not value.numel():
        return True
    return float(value.abs().amax()) <= torch.finfo(dtype).max
