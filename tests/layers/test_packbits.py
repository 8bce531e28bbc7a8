from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from toonout_core.layers.packbits import packbits


def unpacked(row: bytes) -> bytes:
    """The code read by its definition, one byte after the other."""
    out, at = b"", 0
    while at < len(row):
        head = row[at]
        if head < 128:
            out += row[at + 1 : at + 2 + head]
            at += head + 2
        else:
            assert head > 128
            out += row[at + 1 : at + 2] * (257 - head)
            at += 2
    return out


@given(
    arrays.arrays(
        np.uint8,
        st.tuples(st.integers(1, 6), st.integers(1, 400)),
        elements=st.sampled_from([0, 1, 255]),
    )
)
def test_every_row_comes_back(plane):
    packed, lengths = packbits(plane)
    at = 0
    for row, length in zip(plane, lengths, strict=True):
        assert unpacked(packed[at : at + length]) == row.tobytes()
        at += length
    assert at == len(packed)


@pytest.mark.parametrize("width", [1, 2, 127, 128, 129, 130, 256, 257, 385])
def test_flat_rows_are_short_and_noise_grows_little(width):
    flat = np.full((2, width), 7, np.uint8)
    packed, lengths = packbits(flat)
    assert unpacked(packed[: lengths[0]]) == flat[0].tobytes()
    assert lengths[0] <= max(3, 2 * -(-width // 128))
    noise = np.arange(width, dtype=np.uint8)[None] * 89
    assert len(packbits(noise)[0]) <= width + -(-width // 128)


def test_rows_do_not_run_into_each_other():
    packed, lengths = packbits(np.zeros((3, 10), np.uint8))
    assert lengths.tolist() == [2, 2, 2]
    assert packed == bytes([247, 0] * 3)
