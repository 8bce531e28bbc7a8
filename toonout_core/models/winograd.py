"""3×3 convolutions on the CPU with a quarter of the multiplications (S. Winograd, 1980; A. Lavin,
S. Gray, arXiv:1509.09308).

The convolution of a tile of 6×6 pixels has 4×4 results. Each is a value of a product of polynomials
in two variables. So both factors, weights and pixels, are evaluated at 6×6 points and multiplied
there, and the product is found from its 36 values:

    Y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A

⊙ also sums over the channels. For each point that is one matrix product of all tiles. The three
transforms are matrix products, too, with the Kronecker squares of Aᵀ, G and Bᵀ.

The usual points 0, ±1, ±2, ∞ lose 2 bits. Those below were the best of 1300 sets: of 256 channels
the rounding error is 2.2 times that of a plain convolution. At the end of a network it is not
larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..ops.autocast import plain_on_cpu

POINTS = (0.0, 1.0, 0.5, -2.0, -0.75)  # and infinity
TILE = 4
SEEN = TILE + 2  # a tile with one pixel around it
# Transforms cost as much as this many channels on both sides gain (1 / (1/in + 1/out)), and that of
# the weights as much as this many tiles gain. Measured; both with a margin
LEAST_CHANNELS = 50
LEAST_TILES = 64
# of a band of tiles in one of its transformed forms
BAND_BYTES = 8 << 20


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the convolution of x B×C×H×W by O×C×3×3 with a padding of one pixel."""
    return _by_tiles(x, weight, bias) if pays(x, weight) else F.conv2d(x, weight, bias, padding=1)


def pays(x: Tensor, weight: Tensor) -> bool:
    """Tell whether tiles are faster: in float32 on a CPU, without gradients, for enough channels
    that lie together in memory, and enough pixels of each picture.
    """
    wide_out, wide_in = weight.shape[:2]
    tiles = -(-x.shape[2] // TILE) * -(-x.shape[3] // TILE)
    return (
        plain_on_cpu(x, weight)
        and wide_in * wide_out >= LEAST_CHANNELS * (wide_in + wide_out)
        and tiles >= LEAST_TILES
        and x.is_contiguous(memory_format=torch.channels_last)
    )


@cache
def transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Return Aᵀ⊗Aᵀ 16×36, G⊗G 36×9 and Bᵀ⊗Bᵀ 36×36.

    Row j of Bᵀ holds the coefficients of ∏(z − p) over all points but p_j, G those of the weights'
    values at p_j over ∏(p_j − p), Aᵀ the powers of p_j. Infinity is the highest coefficient.
    """
    points = np.array(POINTS)
    others = [np.delete(points, index) for index in range(len(points))]
    gaps = [np.prod(point - rest) for point, rest in zip(points, others, strict=True)]
    products = [*(np.append(np.poly(rest)[::-1], 0) for rest in others), np.poly(points)[::-1]]
    of_weights = np.vstack((points[:, None] ** np.arange(3) / np.c_[gaps], np.eye(3)[2]))
    back = np.column_stack((points ** np.arange(TILE)[:, None], np.eye(TILE)[TILE - 1]))
    one, two, three = (
        torch.from_numpy(np.kron(matrix, matrix).astype(np.float32))
        for matrix in (back, of_weights, np.array(products))
    )
    return one, two, three


def _by_tiles(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    back, of_weights, across = transforms()
    count, channels, height, width = x.shape
    made = len(weight)
    down, right = -(-height // TILE), -(-width // TILE)
    around = (0, 0, 1, 1 + right * TILE - width, 1, 1 + down * TILE - height)
    padded = F.pad(x.permute(0, 2, 3, 1), around)
    tiles = padded.unfold(1, SEEN, TILE).unfold(2, SEEN, TILE).permute(4, 5, 0, 1, 2, 3)
    points = (of_weights @ weight.reshape(-1, 9).T).view(SEEN * SEEN, made, channels).mT
    out = x.new_empty(count, down, TILE, right, TILE, made)
    row_values = SEEN * SEEN * count * right * max(channels, made)
    step = min(max(BAND_BYTES // 4 // row_values, 1), down)
    # fresh memory costs more time than a transform: all steps of all bands share this
    one, two = x.new_empty(2, step * row_values)
    for top in range(0, down, step):
        rows = slice(top, min(top + step, down))
        cut = tiles[:, :, :, rows]
        seen = _shaped(one, cut.shape).copy_(cut).view(SEEN * SEEN, -1)
        seen = torch.mm(across, seen, out=_shaped(two, seen.shape))
        seen = seen.view(SEEN * SEEN, -1, channels)
        product = torch.bmm(seen, points, out=_shaped(one, (*seen.shape[:2], made)))
        product = product.view(SEEN * SEEN, -1)
        parts = torch.mm(back, product, out=_shaped(two, (TILE * TILE, product.shape[1])))
        parts = parts.view(TILE, TILE, count, -1, right, made).permute(2, 3, 0, 4, 1, 5)
        if bias is None:
            out[:, rows] = parts
        else:
            torch.add(parts, bias, out=out[:, rows])
    whole = out.view(count, down * TILE, right * TILE, made)[:, :height, :width]
    return whole.contiguous().permute(0, 3, 1, 2)


def _shaped(memory: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the beginning of `memory` in that shape."""
    return memory[: prod(shape)].view(*shape)
