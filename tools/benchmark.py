"""Time, memory and difference of our BiRefNet and of others, in one interleaved run.

    python tools/benchmark.py --reference DIR [--comfyui DIR] [--size 1024] [--runs 3]
    python tools/benchmark.py --reference DIR --quick        two minutes: 512 pixels, twice

DIR of --reference is a checkout of the ToonOut or the BiRefNet repository; the latter uses SDPA as
it is published. It may be given several times. DIR of --comfyui is ComfyUI 0.21 or newer, whose
core has a BiRefNet of its own (Swin-L only; it cuts patches in the old order, so that its alpha
differs). Only networks are imported, which may need einops, kornia and timm; of ComfyUI also what
it requires itself. All get the same random weights and pictures, each lives in a process of its
own, and they take turns. Time is CPU seconds of all threads (CUDA: seconds); memory is the peak
above what the process holds before its first run, that is, above the weights.
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
    batch: int


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


def our_network(setting: Setting, _folder: str) -> nn.Module:
    sys.path.insert(0, str(ROOT))
    from toonout_core.models.birefnet import ARCHITECTURE, BiRefNet

    dim, depths, heads, window, _ = VARIANTS[setting.variant]
    with torch.device("meta"):
        empty = BiRefNet(dim=dim, depths=depths, heads=heads, window=window)
    network = ARCHITECTURE.load(random_state(empty.state_dict()))
    return network.to(DTYPES[setting.precision])


def comfyui_network(setting: Setting, folder: str) -> nn.Module:
    """The network of ComfyUI's core, as its loader builds it."""
    sys.path.insert(0, folder)
    if setting.device == "cpu":
        import_module("comfy.cli_args").args.cpu = True
    build = import_module("comfy.background_removal.birefnet").BiRefNet
    operations = import_module("comfy.ops").manual_cast
    network = build({}, DTYPES[setting.precision], torch.device("cpu"), operations)
    state = random_state(network.state_dict())
    network.load_state_dict({**network.state_dict(), **state})
    return network


def reference_network(setting: Setting, folder: str) -> nn.Module:
    """The network of the checkout, in fp32 on the CPU: its other precisions need CUDA."""
    sys.path.insert(0, folder)
    prefix = "birefnet." if (Path(folder) / "birefnet").is_dir() else ""
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


def serve(setting: Setting, side: str, folder: str, pipe: Connection) -> None:
    """A process with one network: a run for every message; alpha goes back with the first."""
    torch.set_num_threads(setting.threads)
    makers = {"ours": our_network, "comfyui": comfyui_network}
    network = makers.get(side, reference_network)(setting, folder)
    network = network.requires_grad_(False).train(False).to(setting.device)
    chance = torch.Generator().manual_seed(21)
    picture = torch.randn(setting.batch, 3, setting.size, setting.size, generator=chance)
    picture = picture.to(setting.device, next(network.parameters()).dtype)
    forget_peak()
    cuda = setting.device.startswith("cuda")
    before = torch.cuda.memory_allocated() if cuda else resident_bytes("VmRSS")
    pipe.send("ready")
    while pipe.recv() == "run":
        run, logits = measure(network, picture, before)
        pipe.send((run, logits.sigmoid().numpy()))


def compare(setting: Setting, others: dict[str, str], runs: int) -> dict[str, Any]:
    """Figures of all sides after `runs` turns each; `others`: name → folder."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not look busy
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for name, folder in {"ours": "", **others}.items():
        pipes[name], far = context.Pipe()
        context.Process(target=serve, args=(setting, name, folder, far), daemon=True).start()
        far.close()  # so that a process that ends early is noticed
        pipes[name].recv()  # one at a time: all at once would need twice the memory
    taken: dict[str, list[Run]] = {name: [] for name in pipes}
    alpha: dict[str, Tensor] = {}
    for turn in range(runs):
        for name in list(pipes)[:: 1 - 2 * (turn % 2)]:
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
    return {
        "setting": asdict(setting),
        "torch": torch.__version__,
        "ours": measured(setting, taken["ours"]),
        **{
            name: measured(setting, taken[name])
            | ratios(taken["ours"], taken[name], (alpha["ours"] - alpha[name]).abs())
            for name in others
        },
    }


def measured(setting: Setting, runs: list[Run]) -> dict[str, Any]:
    """What one side took."""
    peak = max(run.peak_bytes for run in runs)
    return {
        "seconds": [round(run.seconds, 2) for run in runs],
        "peak_bytes": peak,
        "peak_bytes_per_pixel": peak / setting.size**2 / setting.batch,
    }


def ratios(ours: list[Run], theirs: list[Run], delta: Tensor) -> dict[str, float]:
    """Ours over theirs, and how far alphas differ."""
    pairs = [a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True)]
    return {
        "time_ratio_of_minima": min(r.seconds for r in ours) / min(r.seconds for r in theirs),
        "time_ratio_median_of_pairs": median(pairs),
        "memory_ratio": max(r.peak_bytes for r in ours) / max(r.peak_bytes for r in theirs),
        "alpha_difference_max": delta.max().item(),
        "alpha_difference_mean": delta.mean().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--comfyui", type=Path, metavar="DIR")
    parser.add_argument("--size", type=int, default=1024, help="side of the picture, pixels")
    parser.add_argument("--batch", type=int, default=1, help="pictures at a time")
    parser.add_argument("--variant", choices=VARIANTS, default="swin_l")
    parser.add_argument("--runs", type=int, default=3, help="turns of each side")
    parser.add_argument("--quick", action="store_true", help="512 pixels, two turns")
    parser.add_argument("--precision", choices=DTYPES, default="fp32", help="ours; CUDA: all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--report", type=Path, help="write the figures there, as JSON")
    chosen = parser.parse_args()
    others = {f"reference {i}": str(path.resolve()) for i, path in enumerate(chosen.reference, 1)}
    if chosen.comfyui:
        others["comfyui"] = str(chosen.comfyui.resolve())
    if not others:
        parser.error("something to compare with must be named: --reference or --comfyui")
    setting = Setting(
        chosen.variant,
        512 if chosen.quick else chosen.size,
        chosen.precision,
        chosen.device,
        chosen.threads,
        chosen.batch,
    )
    text = json.dumps(compare(setting, others, 2 if chosen.quick else chosen.runs), indent=1)
    print(text)
    if chosen.report:
        chosen.report.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
