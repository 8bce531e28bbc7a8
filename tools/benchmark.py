"""Time, memory and difference of our networks and of others, in one interleaved run.

    python tools/benchmark.py --reference DIR [--comfyui DIR] [--size 1024] [--runs 3]
    python tools/benchmark.py --reference DIR --quick        two minutes: 512 pixels, twice
    python tools/benchmark.py --reference DIR --variant isnet
    python tools/benchmark.py --reference DIR --size 2048 --batch 2 --runs 1

DIR of --reference may be given several times. For BiRefNet it is a checkout of the ToonOut or the
BiRefNet repository; the latter uses SDPA as it is published. For isnet it is one of
CartoonSegmentation, and for rtmdet_l a folder with the packages mmdet 3.3, mmengine 0.10 and
mmcv-lite 2.1 (pip install --target). DIR of --comfyui is ComfyUI 0.21 or newer, whose core has a
BiRefNet of its own (Swin-L only; it cuts patches in the old order, so that its alpha differs).

Only networks are imported, which may need einops, kornia and timm; of ComfyUI also what it requires
itself. All get the same random weights and pictures, each lives in a process of its own, and they
take turns. Time is CPU seconds of all threads (CUDA: seconds); memory is the peak above what the
process holds before its first run, that is, above the weights.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.bench_networks import DTYPES, KINDS, Setting


@dataclass(frozen=True)
class Run:
    """One forward pass."""

    seconds: float
    wall_seconds: float
    peak_bytes: int


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


def measure(network: nn.Module, picture: Tensor, before_bytes: int) -> tuple[Run, Any]:
    """One forward pass and its answer."""
    cuda = picture.device.type == "cuda"
    forget_peak()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    cpu, wall = time.process_time(), time.perf_counter()
    with torch.inference_mode():
        answer = network(picture)
    if cuda:
        torch.cuda.synchronize()
    wall = time.perf_counter() - wall
    cpu = time.process_time() - cpu
    peak = torch.cuda.max_memory_allocated() if cuda else resident_bytes("VmHWM")
    return Run(wall if cuda else cpu, wall, peak - before_bytes), answer


def serve(setting: Setting, side: str, folder: str, pipe: Connection) -> None:
    """A process with one network: a run for every message; alpha goes back with each."""
    torch.set_num_threads(setting.threads)
    kind = KINDS[setting.variant]
    network = kind.makers.get(side, kind.makers["reference"])(setting, folder)
    network = network.requires_grad_(False).train(False).to(setting.device)
    chance = torch.Generator().manual_seed(21)
    picture = torch.randn(setting.batch, 3, setting.size, setting.size, generator=chance)
    picture = picture.to(setting.device, next(network.parameters()).dtype)
    forget_peak()
    cuda = setting.device.startswith("cuda")
    before = torch.cuda.memory_allocated() if cuda else resident_bytes("VmRSS")
    pipe.send("ready")
    while pipe.recv() == "run":
        run, answer = measure(network, picture, before)
        pipe.send((run, kind.logits(answer).float().cpu().sigmoid().numpy()))
        del answer


def compare(setting: Setting, others: dict[str, str], runs: int) -> dict[str, Any]:
    """Figures of all sides after `runs` turns each; `others`: name → folder."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not look busy
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    first = next(iter(others.values()))  # ours takes names and sizes of the weights from there
    for name, folder in {"ours": first, **others}.items():
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
    parser.add_argument("--size", type=int, help="side of the picture, pixels; else the network's")
    parser.add_argument("--batch", type=int, default=1, help="pictures at a time")
    parser.add_argument("--variant", choices=KINDS, default="swin_l")
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
        512 if chosen.quick else chosen.size or KINDS[chosen.variant].size,
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
