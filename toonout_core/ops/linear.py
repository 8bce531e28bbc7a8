"""Linear layers on the CPU, by whichever of PyTorch's two libraries is faster on this machine.

PyTorch sends float32 linears to MKL, which gives half of what oneDNN gives on AMD processors, and
as much on Intel's. oneDNN's op is private (`torch.compile` uses it), so that it is tried before
use, and `F.linear` serves where it is missing or wrong. A measurement of some milliseconds, once
in a process, decides. `prefer` and the shell's --cpu-linear decide without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..imaging import channels_first, channels_last
from .autocast import plain_on_cpu

Activation = Literal["none", "relu", "gelu"]
Way = Literal["torch", "onednn"]

# how the op spells them: name and variant
_SPELLED: dict[Activation, tuple[str, str]] = {
    "none": ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
}
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
_ROWS, _CHANNELS = 512, 512  # of the measurement
_ROUNDS = 4
_WORTH = 0.93  # share of torch's time from which on the private op is taken
_lock = threading.Lock()
_chosen: dict[int, Choice] = {}
_preferred = ["auto"]


@dataclass(frozen=True)
class Choice:
    """`why`: in words. `gflops`: of each way, where both were measured."""

    way: Way
    why: str
    gflops: dict[Way, float]


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none"
) -> Tensor:
    """Return activation(x·weightᵀ + bias) for x …×C and weight O×C."""
    if _may_use_onednn(x, weight, bias) and choice().way == "onednn":
        return _onednn(x.contiguous(), weight, bias, activation)
    out = F.linear(x, weight, bias)
    return out if activation == "none" else _ACTIVATIONS[activation](out)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the 1×1 convolution of B×C×H×W; a linear where channels are innermost in memory."""
    innermost = x.stride(1) == 1 and x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type != "cpu" or torch.is_grad_enabled() or not innermost:
        return F.conv2d(x, weight, bias)
    return channels_first(linear(channels_last(x), weight.flatten(1), bias))


def choice() -> Choice:
    """Return what serves float32 linears in this process, for the present number of threads."""
    threads = torch.get_num_threads()
    with _lock:
        if threads not in _chosen:
            _chosen[threads] = _choose()
        return _chosen[threads]


def prefer(way: str) -> None:
    """Take "torch" or "onednn" from now on; anything else: what a new measurement says."""
    with _lock:
        _preferred[0] = way.strip().lower()
        _chosen.clear()


def _may_use_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    tensors = (x, weight) if bias is None else (x, weight, bias)
    return x.numel() > 0 and plain_on_cpu(*tensors)


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
    name, variant = _SPELLED[activation]
    op: Any = torch.ops.mkldnn._linear_pointwise
    return op(x, weight, bias, name, [], variant)


def _choose() -> Choice:
    wanted = _preferred[0]
    if wanted == "torch":
        return Choice("torch", "as it was told", {})
    fault = _fault()
    if fault:
        return Choice("torch", f"oneDNN's op is not to be had: {fault}", {})
    if wanted == "onednn":
        return Choice("onednn", "as it was told", {})
    gflops = _measure()
    way: Way = "onednn" if gflops["torch"] < _WORTH * gflops["onednn"] else "torch"
    return Choice(way, "measured", gflops)


@torch.inference_mode()
def _fault() -> str:
    """Say why the op cannot be used; nothing if it gives what `F.linear` gives."""
    chance = torch.Generator().manual_seed(5)
    x, weight, bias = (torch.randn(*s, generator=chance) for s in ((3, 5, 24), (17, 24), (17,)))
    try:
        for activation in _SPELLED:
            for shift in (bias, None):
                wanted = F.linear(x, weight, shift)
                if activation != "none":
                    wanted = _ACTIVATIONS[activation](wanted)
                got = _onednn(x, weight, shift, activation)
                if got.shape != wanted.shape or float((got - wanted).abs().max()) > 1e-4:
                    return f"it is wrong for {activation}"
    except (AttributeError, RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
    return ""


@torch.inference_mode()
def _measure() -> dict[Way, float]:
    """Measure both in turns: their best, in GFLOP a second of all threads together."""
    x = torch.full((_ROWS, _CHANNELS), 0.5)
    weight = torch.full((4 * _CHANNELS, _CHANNELS), 0.5)
    ways: dict[Way, Callable[[], Tensor]] = {
        "torch": lambda: F.linear(x, weight),
        "onednn": lambda: _onednn(x, weight, None, "none"),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(_ROUNDS):
        for way, call in ways.items():
            # of this thread and its helpers: what others do meanwhile must not decide
            start = time.process_time()
            call()
            best[way] = min(best[way], time.process_time() - start)
    work = 2e-9 * x.numel() * len(weight)
    return {way: work / max(seconds, 1e-6) for way, seconds in best.items()}
