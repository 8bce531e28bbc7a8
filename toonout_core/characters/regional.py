"""Find where each character's prompt acts when one picture is made of several prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import BadInput
from ..instances import Instances
from ..ops.blur import gaussian_blur
from .prompts import PromptOptions, join_prompts, prompt_texts


def prompt_areas(instances: Instances, strength: float = 1.0, feather_px: float = 0.0) -> Tensor:
    """(N + 1)×H×W float32: how much each of N characters' prompts counts in every pixel, then how
    much the background's does. They sum up to 1 everywhere.

    `strength` in [0, 1]: what a character's prompt has inside of its mask; the rest is the
    background's. `feather_px`: over how many pixels one fades into the other. Characters that
    overlap share what is theirs.
    """
    if not 0 <= strength <= 1:
        raise BadInput("strength must be 0 to 1", str(strength))
    if feather_px < 0:
        raise BadInput("feather_px must be 0 or more", str(feather_px))
    masks = instances.masks.to("cpu", torch.float32)[:, None]
    # a Gaussian goes from 16 % to 84 % over two standard deviations
    soft = gaussian_blur(masks, feather_px / 2)[:, 0].clamp(0, 1) if len(masks) else masks[:, 0]
    shares = strength * soft / soft.sum(0).clamp_min(1)
    return torch.cat((shares, (1 - shares.sum(0, keepdim=True)).clamp_min(0)))


def regional_prompts(
    count: int, style: str, lines: Sequence[str], background: str = ""
) -> list[str]:
    """Write a prompt for each of `count` characters, then the background's.

    `lines`: as `prompt_texts` reads them; a single one is said of all. Raises BadInput for another
    number of lines.
    """
    characters = [False] * count
    texts = prompt_texts(lines, characters)
    if len(texts) == 1:
        texts *= count
    if not count:
        texts = []
    return join_prompts(style, [], texts, [*characters, True], PromptOptions(background=background))
