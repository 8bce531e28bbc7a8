"""Measure chroma keying on frames of known foreground and alpha, beside a range of hues.

    python tools/bench_keying.py --data ART --split test --frames 60

ART is a folder of cutouts as in docs/training.md. Prints Markdown; docs/synthesis.md says what it
means.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from toonout_core.errors import BadInput  # noqa: E402
from toonout_core.evaluation.matte_errors import (  # noqa: E402
    absolute_error,
    gradient_error,
    squared_error,
)
from toonout_core.evaluation.matte_pair import MattePair  # noqa: E402
from toonout_core.imaging import to_array  # noqa: E402
from toonout_core.synthesis.cutouts import find_art  # noqa: E402
from toonout_core.synthesis.keying import estimate_key, extract  # noqa: E402
from toonout_core.synthesis.options import KeyOptions  # noqa: E402
from toonout_core.synthesis.screens import Screen, ScreenFrame, screen_frame  # noqa: E402

Cut = Callable[[Tensor], tuple[Tensor, Tensor]]

COLUMNS = ("SAD", "MSE·10³", "gradient", "edge MAE", "colour", "composite")


def hue_range(image: Tensor) -> tuple[Tensor, Tensor]:
    """The usual recipe: OpenCV's HSV, ±15 of 180 around the border's hue, S ≥ 60, V ≥ 40."""
    import cv2

    hsv = cv2.cvtColor(to_array(image)[0], cv2.COLOR_RGB2HSV).astype(np.int64)
    border = np.ones(hsv.shape[:2], np.bool_)
    border[20:, 20:-20] = False
    off = np.abs((hsv[..., 0] - np.median(hsv[border][:, 0]) + 90) % 180 - 90)
    screen = (off <= 15) & (hsv[..., 1] >= 60) & (hsv[..., 2] >= 40)
    return image, 1 - torch.from_numpy(screen.astype(np.float32))[None, None]


def ours(options: KeyOptions) -> Cut:
    def cut(image: Tensor) -> tuple[Tensor, Tensor]:
        keyed = extract(image, estimate_key([image], options), options)
        return keyed.image, keyed.alpha

    return cut


def score(frame: ScreenFrame, image: Tensor, alpha: Tensor) -> list[float]:
    pair = MattePair(alpha, frame.alpha)
    edge = (frame.alpha > 0.02) & (frame.alpha < 0.98)
    seen = (frame.alpha > 0.3).expand(-1, 3, -1, -1)
    over = [
        (alpha * image + (1 - alpha) * b - frame.alpha * frame.foreground - (1 - frame.alpha) * b)
        .abs()
        .mean()
        for b in (0.0, 0.5, 1.0)
    ]
    return [
        absolute_error(pair),
        squared_error(pair) * 1000,
        gradient_error(pair),
        float((alpha - frame.alpha).abs()[edge].mean()),
        float((image - frame.foreground).abs()[seen].mean()) * 255,
        float(torch.stack(over).mean()) * 255,
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="test")
    parser.add_argument("--frames", type=int, default=60, help="of each screen")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    art = find_art(arguments.data, arguments.split, ("item", "building"))
    options = KeyOptions()
    methods: dict[str, Cut] = {
        "range of hues": hue_range,
        "keying": ours(options),
        "keying, no despill": ours(KeyOptions(despill=0)),
    }
    print("| screen | method | frames | " + " | ".join(COLUMNS) + " |")
    print("|---|---|" + "---|" * (1 + len(COLUMNS)))
    for screen in get_args(Screen):
        scores: dict[str, list[list[float]]] = {name: [] for name in methods}
        for index in range(arguments.frames):
            frame = screen_frame(art, arguments.seed, index, arguments.size, screen)
            try:
                results = {name: score(frame, *cut(frame.image)) for name, cut in methods.items()}
            except BadInput as error:
                print(f"{screen}, {frame.name}: {error}", file=sys.stderr)
                continue
            for name, row in results.items():
                scores[name].append(row)
        for name, rows in scores.items():
            means = " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0))
            print(f"| {screen} | {name} | {len(rows)} | {means} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
