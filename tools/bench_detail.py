"""Measure detail on large pictures, beside the plain looks at the whole.

    python tools/bench_detail.py --figures FOLDER --behind FOLDER --size 4096x2304

FIGURES holds transparent pictures; a figure is made smaller where it does not fit, never larger.
What is behind is repeated in a mirror, so that it is not enlarged either. Prints a line for each
picture and the ratio to the better plain look; docs/clips.md says what it means.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from toonout_core.detail import predict_detail  # noqa: E402
from toonout_core.evaluation.alpha_metrics import near_edges  # noqa: E402
from toonout_core.evaluation.peak_memory import peak_memory  # noqa: E402
from toonout_core.host import LocalHost  # noqa: E402
from toonout_core.imaging import picture_suffixes, read  # noqa: E402
from toonout_core.matting import load_matting  # noqa: E402
from toonout_core.ops.compositing import over  # noqa: E402
from toonout_core.ops.resizing import resize  # noqa: E402

_SHARE = 0.88  # of the picture that a figure takes at most


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in picture_suffixes())


def scene(figure: Path, behind: Path, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Image 1×3×H×W and true alpha 1×1×H×W."""
    picture = read(figure)
    if picture.alpha is None:
        raise SystemExit(f"{figure} must be transparent around the figure.")
    layers = torch.cat((picture.image * picture.alpha, picture.alpha), 1)
    rows, columns = picture.alpha[0, 0].amax(1).nonzero(), picture.alpha[0, 0].amax(0).nonzero()
    layers = layers[..., int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
    room = (size / side for size, side in zip(size_hw, layers.shape[-2:], strict=True))
    scale = min(1.0, _SHARE * min(room))
    layers = resize(layers, (round(layers.shape[-2] * scale), round(layers.shape[-1] * scale)))
    down, right = size_hw[0] - layers.shape[-2], size_hw[1] - layers.shape[-1]
    layers = functional.pad(layers, (right // 2, right - right // 2, down, 0))
    colours, alpha = layers.split([3, 1], 1)
    colours = colours / alpha.clamp(min=1e-6)
    return over(colours, alpha, _mirrored(read(behind).image, size_hw)), alpha


def _mirrored(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    for axis in (-2, -1):
        while image.shape[axis] < size_hw[axis]:
            image = torch.cat((image, image.flip(axis)), axis)
    return image[..., : size_hw[0], : size_hw[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--behind", type=Path, required=True)
    parser.add_argument("--size", default="4096x2304", metavar="WxH")
    parser.add_argument("--model", default="toonout-mini")
    parser.add_argument("--plain", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    host = LocalHost(arguments.device, quiet=True)
    flow = load_matting(arguments.model, host=host)
    behind = files(arguments.behind)
    totals = {name: [0.0, 0.0] for name in (*map(str, arguments.plain), "detail")}
    for number, figure in enumerate(files(arguments.figures)):
        image, truth = scene(figure, behind[number % len(behind)], (height, width))
        near = near_edges(truth)
        line = [figure.name]
        for name, total in totals.items():
            begun = time.monotonic()
            with peak_memory(host.device) as peak:
                if name == "detail":
                    found = predict_detail(flow, image)
                else:
                    found = flow.predict(image, resolution=int(name))
            error = (found - truth).abs()
            parts = [float(error[near].sum()) / 1000, float(error[~near].sum()) / 1000]
            total[0] += parts[0]
            total[1] += parts[1]
            memory = "" if peak.size_bytes is None else f", {peak.size_bytes / 2**20:.0f} MiB"
            took = f"{time.monotonic() - begun:.1f} s{memory}"
            line.append(f"{name}: edge {parts[0]:.1f}, flat {parts[1]:.1f}, {took}")
        print(" | ".join(line), flush=True)
    best = min(total[0] for name, total in totals.items() if name != "detail")
    for name, total in totals.items():
        print(f"{name}: edge {total[0]:.1f} ({total[0] / best:.2f} of the better plain look), "
              f"flat {total[1]:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
