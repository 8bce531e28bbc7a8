"""Take a picture apart for a moving camera: a background plate, and a card for each character."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadInput
from ..instances import Instances
from ..layers.building import check_sizes, depth_order
from ..ops.compositing import over, stacked
from ..ops.plate import background_plate
from .disparity import level_instances
from .options import Levelling, Order

_QUANTILES = (0.01, 0.99)  # of depth: what lies beyond is noise
_LEAST_RANGE = 1e-4
_SAMPLE = 1_000_000  # values that quantiles are taken of
_NEARER = 0.5  # the farthest character's disparity where no depth is given; the nearest has 1
_RELIEF_PX = 256  # longer side at which disparity is filled in under characters


@dataclass(frozen=True, eq=False)
class Card:
    """A character that moves as one. `image` 1×3×H×W and `alpha` 1×1×H×W, straight, [0, 1];
    `disparity`: how near, 0 … 1; `relief` 1×1×H×W: how near each of its pixels is, None: flat;
    `number`: which of the characters it is."""

    image: Tensor
    alpha: Tensor
    disparity: float
    relief: Tensor | None = None
    number: int = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """`image` 1×3×H×W as it was; `plate` 1×3×H×W, the background without characters; how near the
    background is, 1×1×H×W in [0, 1]; cards, the farthest first."""

    image: Tensor
    plate: Tensor
    plate_disparity: Tensor
    cards: tuple[Card, ...]

    @property
    def size_hw(self) -> tuple[int, int]:
        return int(self.image.shape[-2]), int(self.image.shape[-1])


@dataclass(frozen=True)
class SceneOptions:
    """How depth is read. `levelling`: which part of a character says how near all of it is;
    `relief` 0 … 1: how much of its own depth a character keeps; `order`: who is nearer where no
    depth is given: whose feet stand lower, or who is later."""

    invert_depth: bool = False
    levelling: Levelling = "feet"
    relief: float = 0.25
    order: Order = "feet"

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise BadInput(f"order must be one of {', '.join(get_args(Order))}", repr(self.order))
        if not 0 <= self.relief <= 1:
            raise BadInput("relief must be 0 to 1", str(self.relief))


def build_scene(
    image: Tensor,
    mattes: Instances,
    colours: Tensor,
    *,
    depth: Tensor | None = None,
    plate: Tensor | None = None,
    options: SceneOptions = SceneOptions(),
) -> Scene:
    """Build the scene of a picture and its characters.

    `image` and `colours` 1×3×H×W (as given, and free of the old background); `mattes` are parts of
    one alpha; `depth` B×1×h×w of any size, near = white; `plate` 1×3×H×W, or None to have it
    painted over. Without `depth` characters stand one before the other in front of a flat
    background. Raises BadInput for different sizes.
    """
    check_sizes(image, mattes, colours, plate)
    size_hw = mattes.size_hw
    alphas = mattes.masks[:, None].to(torch.float32)
    whole = alphas.sum(0, keepdim=True).clamp(0, 1)
    behind = background_plate(image, whole) if plate is None else plate
    if depth is None:
        ground, cards = torch.zeros_like(whole), _standing(mattes, options.order)
    else:
        nearness = normalised(depth, size_hw, options.invert_depth)
        ground, cards = _under(nearness, whole), _levelled(nearness, mattes, options)
    order = sorted(range(len(cards)), key=lambda i: cards[i][0])
    fronts = stacked(alphas[order]) if order else alphas
    built = [
        Card(colours, front[None], cards[index][0], cards[index][1], index)
        for index, front in zip(order, fronts, strict=True)
    ]
    return Scene(image, behind, ground, tuple(built))


def normalised(depth: Tensor, size_hw: tuple[int, int], invert: bool = False) -> Tensor:
    """Convert any depth picture, B×1×h×w with near = white, to 1×1×H×W in [0, 1], its range
    stretched.

    Raises BadInput for distances in metres and for a picture without depth.
    """
    first = depth[:1, :1].to(torch.float32)
    if not bool(torch.isfinite(first).all()):
        raise BadInput("depth must be a number everywhere", "NaN or infinity")
    if float(first.max()) > 1.0 + 1e-3 or float(first.min()) < -1e-3:
        raise BadInput(
            "depth must be a picture with values 0 to 1",
            f"{float(first.min()):.3g} to {float(first.max()):.3g}",
            "In DA3 Render choose the normalization v2_style or min_max instead of raw.",
        )
    values = first.flatten()
    values = values[:: max(1, len(values) // _SAMPLE)]
    low, high = torch.quantile(values, values.new_tensor(_QUANTILES)).tolist()
    if high - low < _LEAST_RANGE:
        raise BadInput(
            "depth must differ within the picture",
            "the same value everywhere",
            "Connect a depth picture, or none: characters then stand before a flat background.",
        )
    stretched = ((first - low) / (high - low)).clamp(0, 1)
    full = functional.interpolate(stretched, size_hw, mode="bilinear", align_corners=False)
    return 1 - full if invert else full


def _standing(mattes: Instances, by: Order) -> list[tuple[float, None]]:
    """Guess how near each character is, by where its feet are and by its size, or by its number."""
    order = depth_order(mattes) if by == "feet" else list(range(len(mattes)))
    steps = max(len(order) - 1, 1)
    near = {index: 1 - (1 - _NEARER) * (1 - rank / steps) for rank, index in enumerate(order)}
    if len(order) == 1:
        near = {order[0]: 1.0}
    return [(near[index], None) for index in range(len(mattes))]


def _levelled(
    nearness: Tensor, mattes: Instances, options: SceneOptions
) -> list[tuple[float, Tensor | None]]:
    """Return the disparity of every card, and its relief around it."""
    result: list[tuple[float, Tensor | None]] = []
    for mask in mattes.masks.to(torch.float32) > 0.5:
        if not bool(mask.any()):
            result.append((0.0, None))
            continue
        flat = level_instances(nearness, mask[None], options.levelling)
        level = float(flat[0, 0][mask][0])
        relief = (level + options.relief * (nearness - level)).clamp(0, 1)
        result.append((level, relief if options.relief else None))
    return result


def _under(nearness: Tensor, alpha: Tensor) -> Tensor:
    """Fill the background's disparity in smoothly where characters hide it."""
    scale = min(1.0, _RELIEF_PX / max(nearness.shape[-2:]))
    small_hw = [max(2, round(side * scale)) for side in nearness.shape[-2:]]
    small, hidden = (
        functional.interpolate(plane, small_hw, mode="bilinear", antialias=True)
        for plane in (nearness, alpha)
    )
    filled = background_plate(small.expand(1, 3, -1, -1), hidden, 3)[:, :1]
    full = functional.interpolate(filled, nearness.shape[-2:], mode="bilinear")
    seen = functional.interpolate((hidden < 0.02).to(full), nearness.shape[-2:], mode="bilinear")
    return torch.lerp(full, nearness, seen).clamp(0, 1)


def out_of_focus(scene: Scene, focus: float, strength: float) -> Scene:
    """Blur what is far from `focus` (a disparity), like depth of field; `strength` 0 … 1."""
    if not strength:
        return scene
    widest = strength * max(scene.size_hw) / 50
    cards = tuple(_blurred_card(card, abs(card.disparity - focus) * widest) for card in scene.cards)
    far = (scene.plate_disparity - focus).abs()
    levels = [0.0, 0.5, 1.0]
    stack = [_gaussian(scene.plate, level * widest) for level in levels]
    lower = torch.lerp(stack[0], stack[1], (far * 2).clamp(0, 1))
    plate = torch.lerp(lower, stack[2], (far * 2 - 1).clamp(0, 1))
    image = plate  # what a still camera shows is blurred as well
    for card in cards:
        image = over(card.image, card.alpha, image)
    return replace(scene, image=image, plate=plate, cards=cards)


def _blurred_card(card: Card, sigma_px: float) -> Card:
    """Blur colours with their alpha, so that no hidden colour comes in."""
    alpha = _gaussian(card.alpha, sigma_px)
    colours = _gaussian(card.image * card.alpha, sigma_px)
    straight = torch.where(alpha > 1e-4, colours / alpha.clamp_min(1e-4), card.image)
    return replace(card, image=straight.clamp(0, 1), alpha=alpha)


def _gaussian(image: Tensor, sigma_px: float) -> Tensor:
    if sigma_px < 0.2:
        return image
    from torchvision.transforms.functional import gaussian_blur

    size = 2 * round(3 * sigma_px) + 1
    limit = 2 * min(image.shape[-2:]) - 1
    return gaussian_blur(image, [min(size, limit - limit % 2 + 1)] * 2, [sigma_px] * 2)
