"""Measure how much memory a piece of work takes at most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_PROCESS = Path("/proc/self")  # Linux


@dataclass
class Peak:
    """`size_bytes` is known after the work; None where the system does not tell it."""

    size_bytes: int | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure what PyTorch held on a CUDA device, or on the CPU what the process held."""
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.size_bytes = torch.cuda.max_memory_allocated(device)
        return
    known = device.type == "cpu" and _forget_peak()
    yield peak
    if known:
        peak.size_bytes = _process_peak()


def _forget_peak() -> bool:
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return _process_peak() is not None


def _process_peak() -> int | None:
    try:
        lines = (_PROCESS / "status").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
