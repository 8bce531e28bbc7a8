from __future__ import annotations

import pytest
import torch

from toonout_core.errors import BadInput
from toonout_core.layers.files import FORMATS, layer_part
from toonout_core.layers.record import LayeredPicture, whole_layer
from toonout_core.output.writing import publish_parts


def picture() -> LayeredPicture:
    draw = torch.Generator().manual_seed(1)
    layers = [whole_layer(str(i), torch.rand(1, 3, 9, 7, generator=draw)) for i in range(2)]
    return LayeredPicture((9, 7), tuple(layers))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_whole_file_passes_and_a_cut_one_does_not(tmp_path, suffix):
    (path,), notes = publish_parts([layer_part(picture(), suffix)], tmp_path, "girl")
    assert (path.name, notes) == (f"girl{suffix}", [])
    check, data = FORMATS[suffix].check, path.read_bytes()
    check(path)
    for size in {0, 1, 30, len(data) // 3, len(data) // 2, len(data) - 1}:
        path.write_bytes(data[:size])
        with pytest.raises(BadInput, match="what was written must be"):
            check(path)


def test_a_changed_byte_of_an_openraster_file_is_seen(tmp_path):
    (path,), _ = publish_parts([layer_part(picture(), ".ora")], tmp_path, "girl")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(BadInput, match="what was written must be"):
        FORMATS[".ora"].check(path)
