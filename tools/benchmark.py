"""Time, memory and difference of our BiRefNet and a reference checkout, in one interleaved run.

    python tools/benchmark.py --reference DIR [--size 1024] [--variant swin_l] [--runs 3]

DIR is a checkout of the ToonOut or the BiRefNet repository; only its network is imported, which may
need einops, kornia and timm. Both networks get the same random weights and pictures, each lives in
a process of its own, and they take turns. Time is CPU seconds of all threads (CUDA: seconds);
memory is the peak above what the process holds before its first run, that is, above the weights.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import sys
import time
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from math import prod
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = {
    "swin_l": (192, (2, 2, 18, 2), (6, 12, 24, 48), 12, "swin_v1_l"),
    "swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24), 7, "swin_v1_t"),
}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Setting:
    """What both sides run."""

    variant: str
    size: int
    precision: str
    device: str
    threads: int
    reference: str


@dataclass(frozen=True)
class Run:
    """One forward pass."""

    seconds: float
    wall_seconds: float
    peak_bytes: int


# ------------------------------------------------------------------ networks


def random_state(names: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that keep every layer's output near unit size, all offsets and statistics alive."""
    state: dict[str, Tensor] = {}
    for name, like in names.items():
        if not like.is_floating_point():
            continue
        chance = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        value = torch.randn(like.shape, generator=chance)
        if name.endswith("running_var"):
            value = 0.5 + torch.rand(like.shape, generator=chance)
        elif name.endswith("relative_position_bias_table"):
            value *= 0.5
        elif name.endswith((".bias", "running_mean")):
            value *= 0.3 if "offset_conv" in name or "modulator_conv" in name else 0.1
        elif like.ndim == 1:
            value = 1 + 0.1 * value
        else:
            value /= prod(like.shape[1:]) ** 0.5
        state[name] = value
    return state


def our_network(setting: Setting) -> nn.Module:
    sys.path.insert(0, str(ROOT))
    from toonout_core.models.birefnet import ARCHITECTURE, BiRefNet

    dim, depths, heads, window, _ = VARIANTS[setting.variant]
    with torch.device("meta"):
        empty = BiRefNet(dim=dim, depths=depths, heads=heads, window=window)
    network = ARCHITECTURE.load(random_state(empty.state_dict()))
    return network.to(DTYPES[setting.precision])


def reference_network(setting: Setting) -> nn.Module:
    """The network of the checkout, in fp32 on the CPU: its other precisions need CUDA."""
    sys.path.insert(0, setting.reference)
    prefix = "birefnet." if (Path(setting.reference) / "birefnet").is_dir() else ""
    if find_spec("wandb") is None:
        sys.modules["wandb"] = ModuleType("wandb")  # the log of its training, imported on the way
    config = import_module(f"{prefix}config").Config
    plain = config.__init__
    dim, _, _, _, backbone = VARIANTS[setting.variant]

    def configure(self: Any, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        self.bb = backbone
        self.lateral_channels_in_collection = [2 * dim * 2**level for level in (3, 2, 1, 0)]
        self.cxt = self.lateral_channels_in_collection[1:][::-1]
        self.batch_size = 2  # 1 would leave the BatchNorms out

    config.__init__ = configure
    network = import_module(f"{prefix}models.birefnet").BiRefNet(bb_pretrained=False)
    missing, unknown = network.load_state_dict(random_state(network.state_dict()), strict=False)
    left = [name for name in missing if not name.endswith(("_index", "_tracked"))]
    assert not left and not unknown, (left, unknown)
    cuda = setting.device.startswith("cuda")
    return network.to(DTYPES[setting.precision] if cuda else torch.float32)


# ------------------------------------------------------------------ measuring


def resident_bytes(key: str) -> int:
    """VmRSS or VmHWM (its peak) of this process; where there is no /proc, the peak of all time."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Hand freed memory back, and start a new peak."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def measure(network: nn.Module, picture: Tensor, before_bytes: int) -> tuple[Run, Tensor]:
    """One forward pass and its logits."""
    cuda = picture.device.type == "cuda"
    forget_peak()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    cpu, wall = time.process_time(), time.perf_counter()
    with torch.inference_mode():
        logits = network(picture)
    if cuda:
        torch.cuda.synchronize()
    wall = time.perf_counter() - wall
    cpu = time.process_time() - cpu
    peak = torch.cuda.max_memory_allocated() if cuda else resident_bytes("VmHWM")
    logits = logits[-1] if isinstance(logits, list | tuple) else logits
    return Run(wall if cuda else cpu, wall, peak - before_bytes), logits.float().cpu()


def serve(setting: Setting, ours: bool, pipe: Connection) -> None:
    """A process with one network: a run for every message; alpha goes back with the first."""
    torch.set_num_threads(setting.threads)
    network = (our_network if ours else reference_network)(setting)
    network = network.requires_grad_(False).train(False).to(setting.device)
    chance = torch.Generator().manual_seed(21)
    picture = torch.randn(1, 3, setting.size, setting.size, generator=chance)
    picture = picture.to(setting.device, next(network.parameters()).dtype)
    forget_peak()
    cuda = setting.device.startswith("cuda")
    before = torch.cuda.memory_allocated() if cuda else resident_bytes("VmRSS")
    pipe.send("ready")
    while pipe.recv() == "run":
        run, logits = measure(network, picture, before)
        pipe.send((run, logits.sigmoid().numpy()))


def compare(setting: Setting, runs: int) -> dict[str, Any]:
    """Figures of both sides after `runs` turns each."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not look busy
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for name in ("ours", "reference"):
        pipes[name], far = context.Pipe()
        context.Process(target=serve, args=(setting, name == "ours", far), daemon=True).start()
        far.close()  # so that a process that ends early is noticed
        pipes[name].recv()  # one at a time: both at once would need twice the memory
    taken: dict[str, list[Run]] = {"ours": [], "reference": []}
    alpha: dict[str, Tensor] = {}
    for turn in range(runs):
        for name in sorted(pipes, reverse=turn % 2 == 1):
            pipes[name].send("run")
            run, values = pipes[name].recv()
            taken[name].append(run)
            alpha[name] = torch.from_numpy(values)
            print(
                f"  {name:9} {run.seconds:7.2f} s  wall {run.wall_seconds:7.2f} s  "
                f"+{run.peak_bytes / 2**30:.2f} GiB",
                flush=True,
            )
    for pipe in pipes.values():
        pipe.send("stop")
    return figures(setting, taken, (alpha["ours"] - alpha["reference"]).abs())


def figures(setting: Setting, taken: dict[str, list[Run]], delta: Tensor) -> dict[str, Any]:
    ours, reference = taken["ours"], taken["reference"]
    pairs = [a.seconds / b.seconds for a, b in zip(ours, reference, strict=True)]
    peaks = {name: max(run.peak_bytes for run in runs) for name, runs in taken.items()}
    return {
        "setting": asdict(setting),
        "torch": torch.__version__,
        "seconds": {name: [round(run.seconds, 2) for run in runs] for name, runs in taken.items()},
        "time_ratio_of_medians": median(r.seconds for r in ours)
        / median(r.seconds for r in reference),
        "time_ratio_of_minima": min(r.seconds for r in ours) / min(r.seconds for r in reference),
        "time_ratio_median_of_pairs": median(pairs),
        "peak_bytes": peaks,
        "peak_bytes_per_pixel": {name: peak / setting.size**2 for name, peak in peaks.items()},
        "memory_ratio": peaks["ours"] / peaks["reference"],
        "alpha_difference_max": delta.max().item(),
        "alpha_difference_mean": delta.mean().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="checkout of the reference")
    parser.add_argument("--size", type=int, default=1024, help="side of the picture, pixels")
    parser.add_argument("--variant", choices=VARIANTS, default="swin_l")
    parser.add_argument("--runs", type=int, default=3, help="turns of each side")
    parser.add_argument("--precision", choices=DTYPES, default="fp32", help="ours; CUDA: both")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--report", type=Path, help="write the figures there, as JSON")
    chosen = parser.parse_args()
    setting = Setting(
        chosen.variant,
        chosen.size,
        chosen.precision,
        chosen.device,
        chosen.threads,
        str(chosen.reference.resolve()),
    )
    result = compare(setting, chosen.runs)
    del result["setting"]["reference"]
    text = json.dumps(result, indent=1)
    print(text)
    if chosen.report:
        chosen.report.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
