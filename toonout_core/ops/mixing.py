"""Weighs what the colour of a soft pixel can be, by a small network that sees what is known of it.

I = αF + (1−α)B. With α and B both exact, F = (I − (1−α)B) / α. An α that is off by δ moves this by
(F−B)·δ/α. Then other colours are nearer to the truth: the smooth estimate F₀ of blur fusion, the
body D (the opaque pixels nearby), or the same division with a better α. Which one it is shows in
how they lie to each other: for a pixel between B and D that the matte calls nearly transparent, α
is too small. So

    F = w₁F₀ + w₂D + w₃I + w₄G + w₅·clip(B + (I−B)/(α+δ)),   Σw = 1, w ≥ 0

where w and δ come from two hidden layers over 12 numbers of the pixel, and

    G = F₀ + α²/(α² + k² + v/(|F₀−B|²+d) + q·α²o²) · (clip(B + (I−B)/α) − F₀)

is the mean of least variance if k is the error of α relative to that of F₀. It trusts the division
less where B is not one colour (v: its variance around there) or where it leaves the colours (o: by
how much). `tools/fit_colours.py` made the numbers of the network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

# k, d and q above, found on pictures that no published figure is from
ALPHA_ERROR = 0.12
ALIKE = 0.03
OVERSHOOT = 3.0
# α below this divides like this
LEAST_ALPHA = 0.1
# most that the network adds to α or takes off
LARGEST_CHANGE = 0.6
# added to squared lengths that divide
_NEAR = 0.03
COLOURS = 5
FEATURES = 12
_FILE = Path(__file__).parents[1] / "assets" / "colours.safetensors"


class Known(NamedTuple):
    """What is known of N soft pixels. Colours are 3×N, other values 1×N, all float32.

    `shown`: the picture. `smooth`: F₀. `background`: B, and `variance` of its colours around there.
    `body`: D. `behind_share`, `body_share`: how much of the small window is surely background, and
    surely character.
    """

    shown: Tensor
    alpha: Tensor
    smooth: Tensor
    background: Tensor
    variance: Tensor
    body: Tensor
    behind_share: Tensor
    body_share: Tensor


def mix(known: Known) -> Tensor:
    """Return F of the pixels, 3×N."""
    features, colours = look(known)
    first, first_bias, second, second_bias, last, last_bias = _network(features.device)
    hidden = torch.addmm(first_bias, first, features).relu_()
    hidden = torch.addmm(second_bias, second, hidden).relu_()
    return weigh(known, colours, torch.addmm(last_bias, last, hidden))


def look(known: Known) -> tuple[Tensor, list[Tensor]]:
    """Return what the network sees, FEATURES×N, and F₀, D, I and G."""
    shown, alpha, smooth, background, variance, body, behind_share, body_share = known
    seen, solid, soft = shown - background, body - background, smooth - background
    seen2, solid2, soft2 = (_dot(one, one) for one in (seen, solid, soft))
    seen_solid, seen_soft = _dot(seen, solid), _dot(seen, soft)
    raw = background + seen / alpha.clamp(min=LEAST_ALPHA)
    divided = raw.clamp(0, 1)
    overshoot = (raw - divided).abs_().amax(0, keepdim=True)
    squared = alpha.square()
    doubt = variance / (soft2 / 3 + ALIKE) + OVERSHOOT * squared * overshoot.square()
    guarded = torch.lerp(smooth, divided, squared / (squared + doubt + ALPHA_ERROR**2))
    # differences of nearly equal sums would lose all digits
    apart, inside = shown - body, smooth - body
    lengths = torch.cat(
        (variance, seen2, solid2, soft2, _dot(apart, apart), _dot(inside, inside))
    ).sqrt_()
    features = torch.cat(
        (
            alpha, behind_share, body_share, overshoot.clamp_(max=2), lengths,
            (seen_solid / (solid2 + _NEAR)).clamp_(-1, 2),
            (seen_soft / (soft2 + _NEAR)).clamp_(-1, 2),
        )
    )  # fmt: skip
    return features, [smooth, body, shown, guarded]


def weigh(known: Known, colours: list[Tensor], told: Tensor) -> Tensor:
    """Return F, 3×N, by what the network told: COLOURS weights before softmax, and δ, 6×N."""
    weights = torch.softmax(told[:COLOURS], 0)
    alpha = (known.alpha + LARGEST_CHANGE * told[COLOURS:].tanh()).clamp(LEAST_ALPHA, 1)
    again = known.background + (known.shown - known.background) / alpha
    total = weights[COLOURS - 1] * again.clamp(0, 1)
    for weight, colour in zip(weights, colours, strict=False):
        total = total + weight * colour
    return total


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(0, keepdim=True)


@cache
def _network(device: torch.device) -> list[Tensor]:
    """Return weight and bias of each layer: O×C and O×1."""
    from safetensors.torch import load_file

    with torch.inference_mode(False):
        stored = load_file(_FILE, device=str(device))
        names = [f"{layer}.{part}" for layer in range(3) for part in ("weight", "bias")]
        return [stored[name].view(len(stored[name]), -1) for name in names]
