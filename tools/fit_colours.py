"""Fit the small network that finds colours of soft pixels (toonout_core/ops/mixing.py).

    python tools/fit_colours.py DATA [DATA …] [-o toonout_core/assets/colours.safetensors]

DATA: folders as `tools/benchmark_colours.py` reads them. Foregrounds of the train split are laid
over backgrounds of that split and over plain colours, gradients, stripes and noise; some of them
out of focus, and some pictures are strands that are drawn here. Each alpha is given as it is, and
spoilt in five ways by a random strength. The loss is Σ α|F−F'| over the pixels that are truly soft,
divided by blur fusion's for that way and kind of picture. The same ratio is printed for the val
split: a row for each kind of picture. It takes about ten minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.benchmark_colours import SOFT, figures
from toonout_core import load_matting
from toonout_core.imaging import from_array
from toonout_core.matting import Matting
from toonout_core.ops.adjust import AdjustOptions, adjust
from toonout_core.ops.blur import gaussian_blur
from toonout_core.ops.compositing import over
from toonout_core.ops.foreground import estimate_foreground
from toonout_core.ops.inversion import Inversion, soft_windows
from toonout_core.ops.mixing import COLOURS, FEATURES, Known, look, weigh
from toonout_core.words import Array

KINDS = ("true", "blurred", "noise", "eroded", "dilated", "model's")
# the true alpha counts more: most users' mattes are meant to be right
COUNTS = (4.0, 1.0, 1.0, 1.0, 1.0, 1.0)
PICTURES = ("drawn", "out of focus", "strands")
SHARES = (0.5, 0.2, 0.3)
PIXELS = 600  # of a picture and kind
HIDDEN = 24
BATCH = 16384
ARTIFICIAL = 0.3  # share of backgrounds that are no pictures


class Samples(NamedTuple):
    """`known` of N pixels, their true colours 3×N and alphas 1×N, and the kind of each: that of
    its picture times the number of kinds of alpha, plus that of its alpha.
    """

    known: Known
    colours: Tensor
    alpha: Tensor
    kinds: Tensor


def spoilt(alpha: Tensor, image: Tensor, model: Matting, rng: np.random.Generator) -> list[Tensor]:
    """An alpha of each kind, B×1×H×W."""
    noise = torch.from_numpy(rng.standard_normal(alpha.shape, np.float32))
    return [
        value.clamp(0, 1).contiguous()
        for value in (
            alpha,
            gaussian_blur(alpha, rng.uniform(0.5, 2)),
            alpha + noise * rng.uniform(3, 16) / 255,
            adjust(alpha, AdjustOptions(grow_px=-rng.uniform(0.2, 1.2))),
            adjust(alpha, AdjustOptions(grow_px=rng.uniform(0.3, 1.5))),
            model.predict(image),
        )
    ]


def artificial(behind: Array, rng: np.random.Generator) -> Array:
    """A plain colour, a gradient, stripes or noise, H×W×3."""
    height = len(behind)
    one, two = rng.random((2, 3), np.float32)
    kind = rng.integers(5)
    rows = np.arange(height, dtype=np.float32)[:, None, None]
    if kind == 0:
        share = rows / height
    elif kind == 1:
        share = rows // rng.integers(2, 32) % 2
    elif kind == 2:
        return rng.random(behind.shape, np.float32)
    else:
        share = np.zeros_like(rows)
    return np.broadcast_to(one + (two - one) * share, behind.shape).astype(np.float32)


def out_of_focus(colours: Tensor, alpha: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The same with a wider soft edge; its colours go on outside."""
    spread = estimate_foreground(colours, alpha, method="blur-fusion")
    known = torch.where(alpha > 0.05, colours, spread)
    return known, gaussian_blur(alpha, rng.uniform(1, 4)).clamp(0, 1)


def strands(rng: np.random.Generator, side: int = 384) -> tuple[Tensor, Tensor]:
    """A body with strands that wind away from it: soft patches of colour, and alpha."""
    fine = 4  # times the size while it is drawn
    mask = np.zeros((fine * side, fine * side), np.uint8)
    middle = rng.uniform(0.3, 0.7, 2) * fine * side
    body = rng.uniform(0.05, 0.25, 2) * fine * side
    if rng.random() < 0.8:
        cv2.ellipse(mask, (middle.tolist(), (2 * body).tolist(), 0.0), 255, -1)
    for _ in range(int(rng.integers(10, 90))):
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, 24))
        steps = np.stack((np.cos(turns), np.sin(turns)), 1) * rng.uniform(1, 5) * fine
        points = middle + np.cumsum(steps, 0) + rng.normal(0, 0.5, 2) * body
        width = int(rng.uniform(0.5, 6) * fine)
        cv2.polylines(mask, [points.astype(np.int32)], False, 255, max(width, 1))
    small = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
    alpha = gaussian_blur(from_array(small.astype(np.float32) / 255), rng.uniform(0.3, 2.5))
    cells = rng.random((rng.integers(1, 6), rng.integers(1, 6), 3), np.float32)
    mixed = rng.random(3, np.float32) + rng.uniform(0.1, 0.6) * (cells - 0.5)
    patches = cv2.resize(mixed, (side, side), interpolation=cv2.INTER_CUBIC)
    return from_array(patches.clip(0, 1)), alpha.clamp(0, 1)


def of_picture(
    image: Tensor, true: Tensor, alpha: Tensor, given: Tensor, rng: np.random.Generator
) -> tuple[Known, Tensor]:
    """What is known of some of the pixels that are soft in both alphas, and their true colours and
    alphas, 4×N.
    """
    smooth = estimate_foreground(image, given, method="blur-fusion")[0]
    inversion = Inversion(image, given)
    known, truths = [], []
    for rows, columns in soft_windows(given[0]):
        part, soft = inversion.look(0, (rows, columns), smooth[:, rows, columns])
        truth = torch.cat((true[0], alpha[0]))[:, rows, columns][:, soft[0]]
        wanted = (truth[3] > SOFT[0]) & (truth[3] < SOFT[1])
        known.append(Known(*(one[:, wanted] for one in part)))
        truths.append(truth[:, wanted])
    if not truths:
        return Known(*(torch.zeros(rows, 0) for rows in (3, 1, 3, 3, 1, 3, 1, 1))), torch.zeros(
            4, 0
        )
    truth = torch.cat(truths, 1)
    some = torch.from_numpy(rng.permutation(truth.shape[1])[:PIXELS])
    whole = (torch.cat(parts, 1)[:, some] for parts in zip(*known, strict=True))
    return Known(*whole), truth[:, some]


def collect(folders: list[Path], split: str, step: int) -> Samples:
    model = load_matting("toonout-mini")
    parts: list[tuple[Known, Tensor]] = []
    kinds: list[Tensor] = []
    for index, (figure, behind) in enumerate(_each(folders, split)):
        if index % step:
            continue
        rng = np.random.default_rng(index)
        if rng.random() < ARTIFICIAL:
            behind = artificial(behind, rng)
        true, alpha = from_array(figure[..., :3]), from_array(figure[..., 3])
        picture = int(rng.choice(len(PICTURES), p=SHARES))
        if picture == 1:
            true, alpha = out_of_focus(true, alpha, rng)
        elif picture == 2:
            true, alpha = strands(rng)
            behind = cv2.resize(behind, (alpha.shape[-1], alpha.shape[-2]))
        image = over(true, alpha, from_array(behind)).mul(255).round().div(255).contiguous()
        for kind, given in enumerate(spoilt(alpha, image, model, rng)):
            found = of_picture(image, true, alpha, given, rng)
            parts.append(found)
            kinds.append(torch.full((found[1].shape[1],), picture * len(KINDS) + kind))
        print(f"\r{split}: {index}", end="", flush=True)
    print()
    known = Known(*(torch.cat(part, 1) for part in zip(*(one for one, _ in parts), strict=True)))
    truth = torch.cat([one for _, one in parts], 1)
    return Samples(known, truth[:3], truth[3:], torch.cat(kinds))


def _each(folders: list[Path], split: str) -> Iterator[tuple[Array, Array]]:
    for folder in folders:
        backgrounds = folder if split == "train" else folders[0]
        yield from figures(folder, split, backgrounds)


class Fit:
    """The network in training; sees what it gets through mean 0 and deviation 1."""

    def __init__(self, samples: Samples) -> None:
        torch.manual_seed(0)
        features, _ = look(samples.known)
        self.mean, self.deviation = features.mean(1), features.std(1) + 1e-3
        widths = (FEATURES, HIDDEN, HIDDEN, COLOURS + 1)
        self.layers = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))

    def __call__(self, known: Known) -> Tensor:
        features, colours = look(known)
        told = (features.T - self.mean) / self.deviation
        for layer in self.layers[:-1]:
            told = torch.relu(layer(told))
        return weigh(known, colours, self.layers[-1](told).T)

    def state(self) -> dict[str, Tensor]:
        """Weights for features as they are."""
        state = {f"{index}.{name}": value for index, layer in enumerate(self.layers)
                 for name, value in layer.state_dict().items()}  # fmt: skip
        state["0.weight"] = state["0.weight"] / self.deviation
        state["0.bias"] = state["0.bias"] - state["0.weight"] @ self.mean
        return {name: value.contiguous() for name, value in state.items()}


def errors(found: Tensor, samples: Samples) -> Tensor:
    """α|F−F'| of each pixel."""
    return (samples.alpha * (found - samples.colours).abs()).mean(0)


def by_kind(values: Tensor, kinds: Tensor) -> Tensor:
    return torch.stack([values[kinds == kind].mean() for kind in range(len(PICTURES) * len(KINDS))])


def some_of(samples: Samples, index: Tensor) -> Samples:
    known = Known(*(part[:, index] for part in samples.known))
    return Samples(known, samples.colours[:, index], samples.alpha[:, index], samples.kinds[index])


def fit(train: Samples, val: Samples, steps: int) -> Fit:
    network = Fit(train)
    optimiser = torch.optim.AdamW(network.layers.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, steps, pct_start=0.05)
    worth = torch.tensor(COUNTS * len(PICTURES)) / by_kind(
        errors(train.known.smooth, train), train.kinds
    )
    base = by_kind(errors(val.known.smooth, val), val.kinds)
    print(f"{len(train.kinds)} pixels; " + ", ".join(KINDS))
    for step in range(1, steps + 1):
        batch = some_of(train, torch.randint(len(train.kinds), (BATCH,)))
        loss = (errors(network(batch.known), batch) * worth[batch.kinds]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 1000 == 0 or step == steps:
            with torch.no_grad():
                ratios = by_kind(errors(network(val.known), val), val.kinds) / base
            for name, row in zip(PICTURES, ratios.view(len(PICTURES), -1).tolist(), strict=True):
                print(f"{step:6} {name:13}" + " ".join(f"{ratio:.3f}" for ratio in row), flush=True)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("colours.safetensors"))
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--every", type=int, default=2, help="every so manieth picture of train")
    options = parser.parse_args()
    val = collect(options.data, "val", 1)
    train = collect(options.data, "train", options.every)
    save_file(fit(train, val, options.steps).state(), options.output)
    print(options.output)


if __name__ == "__main__":
    main()
