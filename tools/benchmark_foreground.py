"""Our foreground estimate against the published one, in time and memory.

    python tools/benchmark_foreground.py [--sizes 1024 2048 4096] [--rounds 3] [--scene figure]

Both run alternately, each time in a fresh process of its own, on the same picture. `reference` is
the published blur fusion, written as its papers do with cv2.blur and float32 arrays H×W×3 (one
thread, as there). `ours` is estimate_foreground, which also spreads colours over what is
transparent. Then box_blur against cv2.blur alone. Peak memory is that of one call above what the
process held before, result included; Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from toonout_core.imaging import from_array
from toonout_core.ops.blur import box_blur
from toonout_core.ops.foreground import estimate_foreground
from toonout_core.words import Array

Figures = dict[str, list[float]]


def reference(image: Array, alpha: Array) -> Array:
    """Two passes, 90 and 6."""
    foreground, background = reference_pass(image, image, image, alpha, 90)
    return reference_pass(image, foreground, background, alpha, 6)[0]


def reference_pass(
    image: Array, foreground: Array, background: Array, alpha: Array, size_px: int
) -> tuple[Array, Array]:
    blurred_alpha = cv2.blur(alpha, (size_px, size_px))[:, :, None]
    alpha = alpha[:, :, None]
    mean_f = cv2.blur(foreground * alpha, (size_px, size_px)) / (blurred_alpha + 1e-5)
    mean_b = cv2.blur(background * (1 - alpha), (size_px, size_px)) / ((1 - blurred_alpha) + 1e-5)
    result = mean_f + alpha * (image - alpha * mean_f - (1 - alpha) * mean_b)
    return np.clip(result, 0, 1), mean_b


def draw(size_px: int, scene: str) -> tuple[Array, Array]:
    """Noise, and an alpha: one figure in the middle, or half transparent everywhere."""
    rng = np.random.default_rng(0)
    image = rng.random((size_px, size_px, 3), dtype=np.float32)
    if scene == "soft":
        return image, 0.2 + 0.6 * rng.random((size_px, size_px), dtype=np.float32)
    alpha = np.zeros((size_px, size_px), np.float32)
    middle, reach = size_px // 2, size_px / 2
    cv2.circle(alpha, (middle, middle), int(0.5 * reach), 1, -1)
    for turn in rng.uniform(0, 2 * np.pi, 60):
        along = np.array((np.cos(turn), np.sin(turn))) * reach
        start, tip = (middle + (share * along).astype(int) for share in (0.4, 0.8))
        cv2.line(alpha, start.tolist(), tip.tolist(), 1, max(size_px // 200, 1))
    return image, cv2.GaussianBlur(alpha, (0, 0), size_px / 700)


def memory_mib(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise SystemExit("the kernel does not tell memory: this needs Linux")


def measure(which: str, size_px: int, scene: str, calls: int) -> Figures:
    """In a process of its own: figures of each call."""
    image, alpha = draw(size_px, scene)
    call: Callable[[], object]
    if which == "reference":
        call = lambda: reference(image, alpha)  # noqa: E731
        reference(image[:64, :64], alpha[:64, :64])
    else:
        planes, opacity = from_array(image).contiguous(), from_array(alpha)
        del image, alpha
        call = lambda: estimate_foreground(planes, opacity, method="blur-fusion")  # noqa: E731
        estimate_foreground(planes[..., :64, :64], opacity[..., :64, :64])
    figures: Figures = {"wall": [], "cpu": [], "memory": []}
    for _ in range(calls):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        held, cpu, start = memory_mib("VmRSS"), time.process_time(), time.perf_counter()
        result = call()
        figures["wall"].append(time.perf_counter() - start)
        figures["cpu"].append(time.process_time() - cpu)
        figures["memory"].append(memory_mib("VmHWM") - held)
        del result
    return figures


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def compare(size_px: int, scene: str, rounds: int, calls: int) -> None:
    sums: dict[str, Figures] = {}
    for _ in range(rounds):
        for which in ("reference", "ours"):
            for name, values in apart(measure, which, size_px, scene, calls).items():
                sums.setdefault(which, {}).setdefault(name, []).extend(values)
    print(f"\n{size_px}×{size_px}, {scene}: {rounds}×{calls} calls each")
    print(f"{'':12}{'wall s median':>15}{'wall s best':>13}{'CPU s best':>12}{'peak MiB':>10}")
    rows: dict[str, list[float]] = {}
    for which, values in sums.items():
        rows[which] = [
            statistics.median(values["wall"]),
            min(values["wall"]),
            min(values["cpu"]),
            max(values["memory"]),
        ]
        print("{:12}{:15.3f}{:13.3f}{:12.3f}{:10.0f}".format(which, *rows[which]))
    ratios = [ours / base for ours, base in zip(rows["ours"], rows["reference"], strict=True)]
    print("{:12}{:15.2f}{:13.2f}{:12.2f}{:10.2f}".format("ratio", *ratios))


def difference(size_px: int, scene: str) -> None:
    image, alpha = draw(size_px, scene)
    ours = estimate_foreground(from_array(image), from_array(alpha), method="blur-fusion")
    visible = alpha >= 1 / 255
    worst = np.abs(from_array(reference(image, alpha)).numpy() - ours.numpy())[0][:, visible].max()
    print(f"largest difference of a colour at {size_px}×{size_px}, {scene}: {worst:.1e}")


def compare_blurs(size_px: int, calls: int) -> None:
    """cv2.blur on interleaved colours against box_blur on planes."""
    image, _ = draw(size_px, "soft")
    planes = from_array(image).contiguous()
    walls: Figures = {"cv2.blur": [], "box_blur": []}
    theirs, ours = cv2.blur(image, (90, 90)), box_blur(planes, 90)
    for _ in range(calls):
        for name, call in (
            ("cv2.blur", lambda: cv2.blur(image, (90, 90))),
            ("box_blur", lambda: box_blur(planes, 90)),
        ):
            start = time.perf_counter()
            call()
            walls[name].append(time.perf_counter() - start)
    worst = float((ours - from_array(theirs)).abs().max())
    ratio = statistics.median(walls["box_blur"]) / statistics.median(walls["cv2.blur"])
    best = min(walls["box_blur"]) / min(walls["cv2.blur"])
    print(
        f"\nbox_blur / cv2.blur, window 90 at {size_px}×{size_px}×3: "
        f"median time ratio {ratio:.2f}, best {best:.2f}, largest difference {worst:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=3, help="in each process")
    parser.add_argument("--scene", choices=("figure", "soft"), default="figure")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; OpenCV {cv2.__version__}")
    for size_px in options.sizes:
        compare(size_px, options.scene, options.rounds, options.calls)
    difference(1024, options.scene)
    compare_blurs(2048, 3 * options.calls)


if __name__ == "__main__":
    main()
