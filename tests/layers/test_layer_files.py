"""Files of paint programs, read again by programs that are not ours."""

from __future__ import annotations

import zipfile
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from psd_tools import PSDImage
from psd_tools.composite import composite
from psd_tools.constants import Resource

from toonout_core.errors import BadInput
from toonout_core.layers.openraster import write_openraster
from toonout_core.layers.psd import write_psd
from toonout_core.layers.record import Layer, LayeredPicture, trimmed, whole_layer

NAMES = ["plate", "Mädchen", "少女 2", "a very long name, longer than thirty-one letters"]


def soft_layer(seed: int, size_hw: tuple[int, int], **options) -> Layer:
    draw = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (1, 3, *size_hw), generator=draw, dtype=torch.uint8)
    alpha = torch.randint(0, 256, (1, 1, *size_hw), generator=draw, dtype=torch.uint8)
    alpha[..., : size_hw[0] // 3] = 255
    alpha[..., -size_hw[0] // 3 :, :] = 0
    return Layer(options.pop("name", f"layer {seed}"), image, alpha, **options)


def example() -> LayeredPicture:
    plate = whole_layer(NAMES[0], torch.rand(1, 3, 40, 60, generator=torch.Generator()))
    return LayeredPicture(
        (40, 60),
        (
            whole_layer("original", torch.rand(1, 3, 40, 60), visible=False),
            plate,
            soft_layer(1, (20, 30), name=NAMES[1], left_px=5, top_px=7, group="characters"),
            soft_layer(2, (30, 20), name=NAMES[2], left_px=50, top_px=-4, group="characters"),
            soft_layer(3, (10, 9), name=NAMES[3], left_px=-3, top_px=35, opacity=0.6),
        ),
    )


def as_psd(picture: LayeredPicture) -> PSDImage:
    stream = BytesIO()
    write_psd(stream, picture)
    stream.seek(0)
    return PSDImage.open(stream)


def levels(picture: LayeredPicture) -> np.ndarray:
    colours, alpha = picture.flat()
    planes = torch.cat((colours * alpha, alpha), 1)[0]
    return planes.permute(1, 2, 0).numpy() * 255


def composite_levels(psd: PSDImage) -> np.ndarray:
    """What psd-tools makes of the layers, before it cuts levels down to whole numbers."""
    colours, _, alpha = composite(psd, force=True)
    return np.concatenate((colours * alpha, alpha), -1) * 255


def premultiplied(image: Image.Image) -> np.ndarray:
    array = np.asarray(image.convert("RGBA")).astype(np.float64)
    array[..., :3] *= array[..., 3:] / 255
    return array


def test_psd_keeps_names_order_groups_and_places():
    psd = as_psd(example())
    assert [layer.name for layer in psd] == ["original", NAMES[0], "characters", NAMES[3]]
    group = psd[2]
    assert group.is_group()
    assert [layer.name for layer in group] == NAMES[1:3]
    assert group[0].bbox == (5, 7, 35, 27)
    assert group[1].bbox == (50, -4, 70, 26)
    assert [layer.visible for layer in psd] == [False, True, True, True]
    assert psd[3].opacity == 153


def test_psd_layers_hold_the_levels_that_went_in():
    picture = example()
    layer = as_psd(picture)[2][0]
    expected = torch.cat((picture.layers[2].image, picture.layers[2].alpha), 1)[0]
    assert np.array_equal(np.asarray(layer.topil()), expected.permute(1, 2, 0).numpy())


def test_psd_composite_and_merged_picture_are_the_flat_one():
    picture = example()
    psd = as_psd(picture)
    assert np.abs(composite_levels(psd) - levels(picture)).max() < 0.01
    assert np.abs(premultiplied(psd.topil()) - levels(picture)).max() <= 2


def test_a_transparent_canvas_stays_transparent():
    picture = LayeredPicture((16, 16), (soft_layer(4, (9, 9), left_px=3, top_px=3),))
    psd = as_psd(picture)
    assert psd.has_preview()
    assert np.asarray(psd.topil())[0, 0, 3] == 0
    assert np.abs(composite_levels(psd) - levels(picture)).max() < 0.01


def test_pillow_reads_the_merged_picture():
    stream = BytesIO()
    picture = example()
    write_psd(stream, picture)
    stream.seek(0)
    assert (
        np.abs(np.asarray(Image.open(stream).convert("RGB")) - levels(picture)[..., :3]).max() < 1
    )


def test_psd_carries_srgb():
    data = as_psd(example()).image_resources.get_data(Resource.ICC_PROFILE)
    profile = ImageCms.ImageCmsProfile(BytesIO(data))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text(max_size=12), min_size=1, max_size=4),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(-8, 8),
)
def test_any_names_sizes_and_places(names, height, width, shift):
    layers = tuple(
        soft_layer(index, (height, width), name=name.replace("\0", " "), left_px=shift)
        for index, name in enumerate(names)
    )
    picture = LayeredPicture((12, 12), layers)
    psd = as_psd(picture)
    assert len(list(psd)) == len(names)
    read = BytesIO()
    write_openraster(read, picture)
    with zipfile.ZipFile(read) as archive:
        ElementTree.fromstring(archive.read("stack.xml"))


def test_openraster_is_what_the_specification_says():
    stream = BytesIO()
    picture = example()
    write_openraster(stream, picture)
    with zipfile.ZipFile(stream) as archive:
        first = archive.infolist()[0]
        assert first.filename == "mimetype"
        assert first.compress_type == zipfile.ZIP_STORED
        assert archive.read("mimetype") == b"image/openraster"
        stack = ElementTree.fromstring(archive.read("stack.xml")).find("stack")
        assert stack is not None
        assert [item.get("name") for item in stack] == [
            NAMES[3], "characters", NAMES[0], "original",
        ]  # fmt: skip
        assert [item.get("name") for item in stack[1]] == [NAMES[2], NAMES[1]]
        assert stack[3].get("visibility") == "hidden"
        merged = Image.open(BytesIO(archive.read("mergedimage.png")))
        assert np.abs(premultiplied(merged) - levels(picture)).max() <= 1
        thumbnail = Image.open(BytesIO(archive.read("Thumbnails/thumbnail.png")))
        assert thumbnail.size == (60, 40)
        placed = stack[1][1]
        inner = Image.open(BytesIO(archive.read(placed.get("src") or "")))
        expected = torch.cat((picture.layers[2].image, picture.layers[2].alpha), 1)[0]
        assert np.array_equal(np.asarray(inner), expected.permute(1, 2, 0).numpy())


def test_trimming_changes_no_picture():
    layer = soft_layer(5, (20, 20))
    empty = whole_layer("empty", torch.zeros(1, 3, 20, 20), torch.zeros(1, 1, 20, 20))
    picture = LayeredPicture((20, 20), (layer, empty))
    smaller = LayeredPicture((20, 20), (trimmed(layer), trimmed(empty)))
    assert trimmed(layer).size_hw[0] < 20
    assert np.array_equal(levels(picture), levels(smaller))


def test_what_cannot_be_is_refused():
    layer = soft_layer(6, (4, 4), group="a")
    with pytest.raises(BadInput, match="follow one another"):
        LayeredPicture((4, 4), (layer, soft_layer(7, (4, 4)), layer))
    with pytest.raises(BadInput, match="1 to"):
        LayeredPicture((4, 4), ())
    with pytest.raises(BadInput, match="at most 30000"):
        write_psd(BytesIO(), LayeredPicture((1, 30001), (layer,)))
    with pytest.raises(BadInput, match="uint8"):
        Layer("x", torch.zeros(1, 3, 2, 2), torch.zeros(1, 1, 2, 2))
