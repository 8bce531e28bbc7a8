"""Finds pictures that look alike, by bits that say where brightness falls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ...imaging import to_array
from ...ops.compositing import over, parse_colour
from ...ops.resizing import resize

Bits = npt.NDArray[Any]

SIDE = 16
NEAR_BITS = 14  # of 256: so many change with JPEG, another size or a small retouch


def likeness_bits(image: Tensor, alpha: Tensor | None = None) -> Bits:
    """Picture 1×3×H×W (over white, where transparent) → 2×256 bool: as it is, and mirrored.

    A bit says whether a cell of 16×16 is brighter than its right neighbour (dHash).
    """
    if alpha is not None:
        image = over(image, alpha, parse_colour("white"))
    grey = resize(image.mean(1, keepdim=True), (SIDE, SIDE + 1))
    return np.stack([_bits(grey), _bits(grey.flip(-1))])


def _bits(grey: Tensor) -> Bits:
    levels = to_array(grey)[0, :, :, 0].astype(np.int16)
    # a margin of two levels: else noise would decide on flat ground
    return (levels[:, 1:] > levels[:, :-1] + 2).ravel()


def near_pairs(bits: Sequence[Bits], limit: int = NEAR_BITS) -> Iterator[tuple[int, int, int]]:
    """(first, second, distance in bits) of all pairs that are near, mirrored or not.

    Nearly flat pictures (fewer than 16 bits are set) are near to no other.
    """
    if not bits:
        return
    straight = np.stack([pair[0] for pair in bits]).astype(np.float32)
    mirrored = np.stack([pair[1] for pair in bits]).astype(np.float32)
    telling = straight.sum(1) >= 16
    for index in range(len(bits) - 1):
        rest = slice(index + 1, None)
        distance = np.minimum(
            np.abs(straight[rest] - straight[index]).sum(1),
            np.abs(mirrored[rest] - straight[index]).sum(1),
        )
        near = (distance <= limit) & telling[rest] & telling[index]
        for offset in np.flatnonzero(near).tolist():
            yield index, index + 1 + offset, int(distance[offset])
