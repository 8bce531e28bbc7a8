"""Pack whole planes by PackBits, the run-length code of PSD and TIFF.

Source: Apple Technical Note TN1023. A header byte n of 0 … 127 is followed by n + 1 bytes as they
are; 129 … 255 by one byte that is repeated 257 - n times.
"""

from __future__ import annotations

import numpy as np

from ..words import Array

_LONGEST = 128  # bytes that one header can speak of
_SHORTEST_RUN = 3  # a run of two saves nothing and would cut bytes that are not repeated


def packbits(plane: Array) -> tuple[bytes, Array]:
    """H×W uint8 → the packed rows one after the other, and the length of each, H int64."""
    height, width = plane.shape
    flat = np.ascontiguousarray(plane, np.uint8).ravel()
    starts, lengths, repeated = _pieces(flat, width)
    sizes = np.where(repeated, 2, lengths + 1)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    packed = np.empty(int(offsets[-1]), np.uint8)
    packed[offsets[:-1]] = np.where(repeated, 257 - lengths, lengths - 1)
    packed[offsets[:-1][repeated] + 1] = flat[starts[repeated]]
    plain = ~repeated
    packed[_spread(offsets[:-1][plain] + 1, lengths[plain])] = flat[
        _spread(starts[plain], lengths[plain])
    ]
    rows = np.bincount(starts // width, sizes, minlength=height).astype(np.int64)
    return packed.tobytes(), rows


def _pieces(flat: Array, width: int) -> tuple[Array, Array, Array]:
    """Return start and length of the pieces that get a header each, and whether they
    are repeated.
    """
    changes = np.empty(len(flat), bool)
    changes[0] = True
    np.not_equal(flat[1:], flat[:-1], out=changes[1:])
    changes[::width] = True
    starts = np.flatnonzero(changes)
    repeated = np.diff(np.append(starts, len(flat))) >= _SHORTEST_RUN
    # neighbours that are not repeated become one piece, within a row
    joined = ~repeated & np.append(False, ~repeated[:-1]) & (starts % width != 0)
    starts, repeated = starts[~joined], repeated[~joined]
    lengths = np.diff(np.append(starts, len(flat)))
    counts = -(-lengths // _LONGEST)
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    parts = np.minimum(np.repeat(lengths, counts) - within * _LONGEST, _LONGEST)
    starts = np.repeat(starts, counts) + within * _LONGEST
    # a rest of one or two bytes of a run is shorter as it is, and never longer as a run
    return starts, parts, np.repeat(repeated, counts) & (parts > 1)


def _spread(starts: Array, lengths: Array) -> Array:
    """Return starts[i], starts[i] + 1, … lengths[i] of them, one after the other."""
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(starts, lengths) + within
