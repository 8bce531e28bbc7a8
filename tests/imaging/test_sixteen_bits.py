"""16 bits a channel are as right as 8, whose way is Pillow's."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.imaging.files import chunk, noise, png, tiff
from toonout_core.imaging import read, read_frames, to_array


def pixels_of(data: bytes) -> np.ndarray:
    picture = read(io.BytesIO(data))
    assert picture.bits == 16
    return to_array(picture.image, 16, picture.alpha)[0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_level_of_a_png(channels):
    pixels = noise(7, 5, channels, np.uint16)
    found = pixels_of(png(pixels))
    colour = pixels[..., :1].repeat(3, -1) if channels < 3 else pixels[..., :3]
    assert np.array_equal(found[..., :3], colour)
    if channels in (2, 4):
        assert np.array_equal(found[..., 3], pixels[..., -1])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_level_of_a_tiff(channels, order):
    pixels = noise(7, 5, channels, np.uint16)
    tags = {"extra_samples": 2} if channels == 4 else {}
    found = pixels_of(tiff(pixels, order=order, **tags))
    assert np.array_equal(found[..., : max(3, channels)], np.broadcast_to(pixels, found.shape))


def test_a_packed_tiff_of_several_strips():
    grey = Image.fromarray(noise(40, 30, 1, np.uint16)[..., 0])
    stream = io.BytesIO()
    grey.save(stream, "TIFF", compression="tiff_lzw", tiffinfo={278: 8})
    assert np.array_equal(pixels_of(stream.getvalue())[..., 0], np.asarray(grey))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_8_bits(orientation):
    pixels = noise(4, 6, 3)
    deep = pixels_of(tiff(pixels.astype(np.uint16) * 257, orientation=orientation))
    shallow = to_array(read(io.BytesIO(tiff(pixels, orientation=orientation))).image)[0]
    assert deep.shape == ((6, 4, 3) if orientation > 4 else (4, 6, 3))
    assert np.array_equal(deep, shallow.astype(np.uint16) * 257)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_png(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    extra = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    pixels = noise(4, 6, 4)
    deep = pixels_of(png(pixels.astype(np.uint16) * 257, extra))
    upright = Image.fromarray(pixels)
    upright.getexif()[0x112] = orientation
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(upright)).astype(np.uint16) * 257
    assert np.array_equal(deep, expected)


def test_associated_alpha_is_divided_out():
    straight = noise(16, 16, 4, np.uint16)
    straight[..., 3] = straight[..., 3] // 2 + 20000
    straight[:2, :, 3] = 0
    share = straight[..., 3:] / 65535
    premultiplied = straight.copy()
    premultiplied[..., :3] = (straight[..., :3] * share).round()
    found = pixels_of(tiff(premultiplied, extra_samples=1)).astype(int)
    assert np.array_equal(found[..., 3], straight[..., 3])
    assert np.abs(found - straight)[2:, :, :3].max() <= 2
    assert not found[:2, :, :3].any()


def test_one_transparent_colour_is_compared_with_all_its_bits():
    pixels = np.array([[[4660, 1, 2], [4661, 1, 2], [4660, 1, 3]]], np.uint16)
    key = b"".join(int(v).to_bytes(2, "big") for v in pixels[0, 0])
    found = pixels_of(png(pixels, chunk(b"tRNS", key)))
    assert found[0, :, 3].tolist() == [0, 65535, 65535]
    assert np.array_equal(found[..., :3], pixels)
    grey = pixels_of(png(pixels[..., :1], chunk(b"tRNS", key[:2])))
    assert grey[0, :, 3].tolist() == [0, 65535, 0]


def test_white_may_be_zero():
    pixels = noise(3, 3, 1, np.uint16)
    found = pixels_of(tiff(pixels, photometric=0))
    assert np.array_equal(found[..., 0], 65535 - pixels[..., 0])


def test_pages_of_a_tiff_are_told_apart():
    first, second = noise(3, 4, 3, np.uint16), noise(5, 2, 3, np.uint16)
    # the second file stands behind the first, whose chain of folders is made to lead there
    one, two = bytearray(tiff(first)), tiff(second)
    moved = _moved(two, len(one))
    folder = int.from_bytes(one[4:8], "little")
    count = int.from_bytes(one[folder : folder + 2], "little")
    link = folder + 2 + 12 * count
    one[link : link + 4] = (int.from_bytes(moved[4:8], "little")).to_bytes(4, "little")
    pages = list(read_frames(io.BytesIO(bytes(one) + moved)))
    assert [page.bits for page in pages] == [16, 16]
    for page, pixels in zip(pages, (first, second), strict=True):
        assert np.array_equal(to_array(page.image, 16)[0], pixels)


def _moved(data: bytes, by: int) -> bytes:
    """A little-endian TIFF of `files.tiff` with all its places higher by `by`."""
    moved = bytearray(data)

    def shift(place: int) -> None:
        found = int.from_bytes(moved[place : place + 4], "little")
        moved[place : place + 4] = (found + by).to_bytes(4, "little")

    folder = int.from_bytes(data[4:8], "little")
    shift(4)
    for index in range(int.from_bytes(data[folder : folder + 2], "little")):
        entry = folder + 2 + 12 * index
        tag = int.from_bytes(data[entry : entry + 2], "little")
        if tag in (258, 273):  # bits of three channels, and the strip
            shift(entry + 8)
    return bytes(moved)


def test_smaller_is_8_bits_and_says_so_nowhere_else():
    pixels = noise(20, 20, 3, np.uint16)
    picture = read(io.BytesIO(png(pixels)), shrink_to=100)
    assert picture.size_hw == (10, 10)
    assert abs(float(picture.image.mean()) - pixels.mean() / 65535) < 0.02
    assert read(io.BytesIO(png(noise(9, 9, 2, np.uint16))), shrink_to=100).bits == 16
    both = read(io.BytesIO(png(noise(20, 20, 2, np.uint16))), shrink_to=100)
    assert both.size_hw == (10, 10) and both.alpha is not None
    assert abs(float(both.alpha.mean()) - 0.5) < 0.1
