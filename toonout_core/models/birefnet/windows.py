"""Which tokens form which attention window, worked out once per size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Chunk:
    """A run of windows that go through a block together.

    rows: index of each real token among all B·H·W tokens, in window order. slots: its place among
    the windows·window² places, where some are padding; None: no padding. kinds: for each stretch
    of the run, its mask w²×w² of `shift_masks`, or None if it separates nothing, and how many
    windows it has.
    """

    rows: Tensor
    slots: Tensor | None
    windows: int
    kinds: tuple[tuple[Tensor | None, int], ...]


def _tokens_by_window(height: int, width: int, window: int, shift: int) -> tuple[Tensor, Tensor]:
    """(token of each place, −1 for padding: windows × window²; kind of each window).

    Padding goes to the right and bottom, then everything moves up and left by `shift`, cyclically.
    """
    down, across = -(-height // window), -(-width // window)
    row = (torch.arange(down * window) + shift) % (down * window)
    col = (torch.arange(across * window) + shift) % (across * window)
    real = (row < height).unsqueeze(1) & (col < width).unsqueeze(0)
    token = torch.where(real, row.unsqueeze(1) * width + col.unsqueeze(0), -1)
    token = token.view(down, window, across, window).transpose(1, 2).reshape(-1, window * window)
    kind = torch.zeros(down, across, dtype=torch.int64)
    if shift:
        kind[-1] += 2
        kind[:, -1] += 1
    return token, kind.flatten()


def plan_windows(
    batch: int,
    height: int,
    width: int,
    window: int,
    shift: int,
    chunk_tokens: int,
    device: torch.device,
) -> tuple[Chunk, ...]:
    """Chunks of about `chunk_tokens` tokens that cover every token of `batch` pictures once."""
    with torch.inference_mode(False), torch.device("cpu"):
        token, kind = _tokens_by_window(height, width, window, shift)
        pictures = torch.arange(batch).view(-1, 1, 1) * (height * width)
        token = torch.where(token < 0, -1, token + pictures).flatten(0, 1)
        kind = kind.repeat(batch)
        padded = (token < 0).any(1)
        order = torch.argsort(padded.long() * 4 + kind, stable=True)
        whole = int((~padded).sum())
        masks = (None, *(mask.to(device) for mask in shift_masks(window, shift)[1:]))
        chunks: list[Chunk] = []
        for group in (order[:whole], order[whole:]):
            if len(group):
                count = max(1, round(len(group) * window * window / chunk_tokens))
                parts = group.chunk(count)
                chunks += [_chunk(token[part], kind[part], masks, device) for part in parts]
        return tuple(chunks)


def _chunk(
    token: Tensor, kind: Tensor, masks: Sequence[Tensor | None], device: torch.device
) -> Chunk:
    kinds, counts = torch.unique_consecutive(kind, return_counts=True)
    flat = token.flatten()
    slots = (flat >= 0).nonzero().flatten()
    return Chunk(
        rows=flat[slots].to(device),
        slots=None if len(slots) == len(flat) else slots.to(device),
        windows=len(token),
        kinds=tuple(zip([masks[one] for one in kinds], counts.tolist(), strict=True)),
    )


def shift_masks(window: int, shift: int) -> Tensor:
    """0 where two places of a shifted window are neighbours in the picture, else −100.

    4 × window² × window²: an inner window, one at the right, at the bottom, in the corner. The last
    `shift` rows or columns of those were brought round from the opposite edge.
    """
    wrapped = (torch.arange(window) >= window - shift).long()
    nothing = torch.zeros_like(wrapped)
    labels = [
        (row.unsqueeze(1) * 2 + col.unsqueeze(0)).flatten()
        for row in (nothing, wrapped)
        for col in (nothing, wrapped)
    ]
    return torch.stack([(a.unsqueeze(0) != a.unsqueeze(1)) * -100.0 for a in labels])
