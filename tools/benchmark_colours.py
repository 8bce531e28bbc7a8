"""How wrong foreground colours are, against published estimators, on composites of known colours.

    python tools/benchmark_colours.py DATA [--split test] [--step 1] [--methods NAME …]

DATA: a folder as `toonout train unet` reads it, with ATTRIBUTION.csv. Each foreground that is
drawn and has few translucent pixels is laid over a background of the same split, in 8 bit. The
estimators get its true alpha, and spoilt ones. Counted are pixels with 0.02 < α < 0.98.
First figure: mean |error| of the result over magenta, with the alpha that was given. Second: of the
foreground alone, α|F−F'|, with the true alpha. Third: the second against blur fusion's. Last:
CPU-seconds. pymatting's methods need `pip install pymatting`; its closed form is slow.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from toonout_core import load_matting
from toonout_core.imaging import from_array
from toonout_core.ops.adjust import AdjustOptions, adjust
from toonout_core.ops.blur import gaussian_blur
from toonout_core.ops.compositing import over, parse_colour
from toonout_core.ops.foreground import estimate_foreground
from toonout_core.words import Array

Estimate = Callable[[Tensor, Tensor], Tensor]
Case = tuple[Tensor, Tensor, dict[str, Tensor]]

SOFT = (0.02, 0.98)
TRANSLUCENT = 0.05
BASE = "blur fusion 90, 6"


def estimators() -> dict[str, Estimate]:
    """By name; the first is what others are compared with."""
    blur = partial(estimate_foreground, method="blur-fusion")
    return {
        BASE: blur,
        "blur fusion 90, 3": partial(blur, refine_radius_px=3),
        "inversion 90, 6": estimate_foreground,
        "inversion 90, 3": partial(estimate_foreground, refine_radius_px=3),
        "as it is": lambda image, alpha: image,
        "pymatting multi-level": partial(through_pymatting, "estimate_foreground_ml"),
        "pymatting closed form": partial(through_pymatting, "estimate_foreground_cf"),
    }


def through_pymatting(name: str, image: Tensor, alpha: Tensor) -> Tensor:
    import pymatting

    colours = image[0].permute(1, 2, 0).double().numpy()
    result = getattr(pymatting, name)(colours, alpha[0, 0].double().numpy())
    return from_array(np.ascontiguousarray(result, np.float32).clip(0, 1))


def rows_of(data: Path, split: str) -> list[dict[str, str]]:
    with (data / "ATTRIBUTION.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def figures(data: Path, split: str, behind: Path | None = None) -> Iterator[tuple[Array, Array]]:
    """Foreground H×W×4 and a background H×W×3, as floats; backgrounds of the folder `behind`."""
    rows, around = rows_of(data, split), behind or data
    backgrounds = [row["file"] for row in rows_of(around, split) if row["kind"] == "bg"]
    drawn = [row for row in rows if row["kind"] == "fg" and "photo" not in row["style"]]
    few = [row["file"] for row in drawn if float(row["semi_frac"] or 0) < TRANSLUCENT]
    for index, file in enumerate(few):
        rng = np.random.default_rng(1000 + index)
        figure = Image.open(data / file).convert("RGBA")
        picture = Image.open(around / backgrounds[rng.integers(len(backgrounds))]).convert("RGB")
        yield _unit(figure), _unit(_covering(picture, figure.size, rng))


def _unit(picture: Image.Image) -> Array:
    return np.asarray(picture).astype(np.float32) / 255


def _covering(
    picture: Image.Image, size_wh: tuple[int, int], rng: np.random.Generator
) -> Image.Image:
    """A random part of that size."""
    width, height = size_wh
    scale = max(width / picture.width, height / picture.height) * rng.uniform(1, 1.5)
    larger = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
    picture = picture.resize(larger, Image.Resampling.LANCZOS)
    top = int(rng.integers(picture.height - height + 1))
    left = int(rng.integers(picture.width - width + 1))
    return picture.crop((left, top, left + width, top + height))


def spoilt(alpha: Tensor, image: Tensor, model: Any, index: int) -> dict[str, Tensor]:
    """The true alpha, what happens to it, and a model's."""
    torch.manual_seed(index)
    changed = {
        "true": alpha,
        "blurred 1": gaussian_blur(alpha, 1.0),
        "noise 8/255": alpha + torch.randn_like(alpha) * 8 / 255,
        "eroded ½": adjust(alpha, AdjustOptions(grow_px=-0.5)),
        "dilated 1": adjust(alpha, AdjustOptions(grow_px=1.0)),
        "model's": model.predict(image),
    }
    return {name: value.clamp(0, 1) for name, value in changed.items()}


def cases(data: Path, split: str, step: int, model_name: str) -> Iterator[Case]:
    """Image, true foreground, alphas."""
    model = load_matting(model_name)
    for index, (figure, behind) in enumerate(figures(data, split)):
        if index % step:
            continue
        true, alpha = from_array(figure[..., :3]), from_array(figure[..., 3])
        image = over(true, alpha, from_array(behind)).mul(255).round().div(255).contiguous()
        yield image, true, spoilt(alpha, image, model, index)


def measure(case: Case, methods: dict[str, Estimate], sums: dict[tuple[str, str], Array]) -> None:
    """Add errors, pixels and seconds of one picture."""
    image, true, alphas = case
    alpha = alphas["true"]
    soft = ((alpha > SOFT[0]) & (alpha < SOFT[1])).expand_as(true)
    new = parse_colour("magenta")
    wanted = over(true, alpha, new)
    for kind, given in alphas.items():
        for name, method in methods.items():
            start = time.process_time()
            result = method(image, given.contiguous())
            seconds = time.process_time() - start
            shown = (over(result, given, new) - wanted).abs()[soft].sum()
            alone = (alpha * (result - true)).abs()[soft].sum()
            row = np.array([float(shown), float(alone), float(soft.sum()), seconds])
            sums[name, kind] = sums.get((name, kind), np.zeros(4)) + row


def show(sums: dict[tuple[str, str], Array]) -> None:
    names, kinds = (list(dict.fromkeys(key[place] for key in sums)) for place in (0, 1))
    print(f"{'':24}" + "".join(f"{kind:>22}" for kind in kinds) + f"{'CPU s':>8}")
    for name in names:
        cells, seconds = "", 0.0
        for kind in kinds:
            shown, alone, pixels, took = sums[name, kind]
            base = sums[names[0], kind]
            ratio = alone / pixels / (base[1] / base[2])
            cells += f"   {shown / pixels:.4f}/{alone / pixels:.4f} {ratio:.3f}"
            seconds += took
        print(f"{name:24}{cells}{seconds:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--step", type=int, default=1, help="every so manieth picture")
    parser.add_argument("--model", default="toonout-mini")
    parser.add_argument("--methods", nargs="+", help=f"beside {BASE}: {', '.join(estimators())}")
    options = parser.parse_args()
    chosen = estimators()
    wanted = options.methods or [name for name in chosen if not name.startswith("pymatting")]
    methods = {name: call for name, call in chosen.items() if name == BASE or name in wanted}
    sums: dict[tuple[str, str], Array] = {}
    count = 0
    for case in cases(options.data, options.split, options.step, options.model):
        measure(case, methods, sums)
        count += 1
    print(f"{count} composites of {options.split}")
    show(sums)


if __name__ == "__main__":
    main()
