"""The cutout looks in a browser as its source does."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from tests.imaging.files import (
    chunk,
    cmyk_profile,
    gamma_curve,
    noise,
    png,
    profile,
    saved,
    srgb,
)
from toonout_core.imaging import read, to_array

GREY_1 = profile(b"GRAY", {b"kTRC": gamma_curve(1.0)})  # linear


def icc(data: bytes) -> bytes:
    import zlib

    return chunk(b"iCCP", b"x\0\0" + zlib.compress(data))


def colours(data: bytes, bits: int = 8) -> np.ndarray:
    return to_array(read(io.BytesIO(data)).image, bits)[0]


def test_cmyk_is_converted_by_its_profile():
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[..., 0] = 255  # a quarter of all ink: L* 75
    ink[2:] = 0
    data = saved(_cmyk(ink), "TIFF", icc_profile=cmyk_profile())
    picture = read(io.BytesIO(data))
    found = to_array(picture.image)[0]
    assert found[3, 3].tolist() == [255, 255, 255]
    assert np.abs(found[0, 0].astype(int) - 185).max() <= 3  # Y 0.4828
    assert picture.notes == () and picture.metadata.icc_profile is None


def _cmyk(ink: np.ndarray) -> Image.Image:
    return Image.frombytes("CMYK", ink.shape[1::-1], ink.tobytes())


@pytest.mark.parametrize("damage", [None, b"\0" * 40, srgb()])
def test_cmyk_without_a_usable_profile_is_a_guess(damage):
    options = {"icc_profile": damage} if damage else {}
    data = saved(_cmyk(np.full((2, 2, 4), (255, 0, 0, 0), np.uint8)), "TIFF", **options)
    picture = read(io.BytesIO(data))
    assert to_array(picture.image)[0, 0, 0].tolist() == [0, 255, 255]
    assert any("colours are a guess" in note for note in picture.notes)
    assert picture.metadata.icc_profile is None


def test_without_littlecms_there_is_a_note(monkeypatch):
    def absent(*_, **__):
        raise ImportError("no littlecms")

    monkeypatch.setattr(ImageCms, "ImageCmsProfile", absent)
    data = saved(_cmyk(np.zeros((2, 2, 4), np.uint8)), "TIFF", icc_profile=cmyk_profile())
    assert any("no littlecms" in note for note in read(io.BytesIO(data)).notes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_converted_by_its_profile(dtype):
    most = np.iinfo(dtype).max
    levels = np.array([[0, most // 5, most // 2, most]], dtype)[..., None]
    picture = read(io.BytesIO(png(levels, icc(GREY_1))))
    linear = levels[0, :, 0] / most
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    found = picture.image[0, :, 0].numpy()
    assert np.abs(found - expected).max() < 0.006
    assert picture.metadata.icc_profile is None


def test_grey_is_converted_with_alpha_too():
    pixels = np.full((2, 2, 2), 128, np.uint8)
    picture = read(io.BytesIO(png(pixels, icc(GREY_1))))
    assert picture.alpha is not None
    assert abs(float(picture.image[0, 0, 0, 0]) * 255 - 188) <= 1


def test_a_profile_for_rgb_is_carried_on_and_nothing_else():
    pixels = noise(3, 3, 3)
    kept = read(io.BytesIO(png(pixels, icc(srgb()))))
    assert kept.metadata.icc_profile == srgb() and kept.notes == ()
    for wrong in (GREY_1, cmyk_profile(), srgb()[:200], b"\0" * 128):
        picture = read(io.BytesIO(png(pixels, icc(wrong))))
        assert picture.metadata.icc_profile is None
        assert "the colour profile was left out" in picture.notes[0]
        assert np.array_equal(to_array(picture.image)[0], pixels)


def test_lab_is_converted():
    lab = Image.merge("LAB", [Image.new("L", (2, 2), level) for level in (136, 128, 128)])
    found = colours(saved(lab, "TIFF"))
    assert np.abs(found.astype(int) - 128).max() <= 4  # L* 53.4 is the grey of 128


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 1e5)))


def primaries(*places: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(place * 1e5) for place in places)))


SRGB_PLACES = (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3_PLACES = (0.3127, 0.329, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gamma_is_applied(dtype):
    pixels = np.full((2, 2, 3), np.iinfo(dtype).max // 2, dtype)
    found = colours(png(pixels, gamma(1.0)))
    assert np.abs(found.astype(int) - 188).max() <= 1  # half of the light is 188 in sRGB


@pytest.mark.parametrize(
    "said",
    [
        (),
        (gamma(1 / 2.2),),
        (gamma(1 / 2.2), primaries(*SRGB_PLACES)),
        (gamma(1.0), chunk(b"sRGB", b"\0")),
        (chunk(b"cICP", bytes((1, 13, 0, 1))),),
    ],
)
def test_what_is_srgb_stays_as_it_is(said):
    pixels = noise(4, 4, 3)
    picture = read(io.BytesIO(png(pixels, *said)))
    assert np.array_equal(to_array(picture.image)[0], pixels) and picture.notes == ()


@pytest.mark.parametrize(
    "said", [(gamma(1 / 2.2), primaries(*P3_PLACES)), (chunk(b"cICP", bytes((12, 13, 0, 1))),)]
)
def test_primaries_are_applied(said):
    """The red of Display P3 is beyond sRGB's; its white is white; half of its red is 0.61 of it."""
    pixels = np.array([[[255, 255, 255], [255, 0, 0], [128, 128, 128], [100, 60, 60]]], np.uint8)
    found = colours(png(pixels, *said))[0].astype(int)
    assert found[0].tolist() == [255, 255, 255] and found[1].tolist() == [255, 0, 0]
    assert np.abs(found[2] - 128).max() <= 2
    assert found[3, 0] > 103 and found[3, 1] <= 60


def test_colours_of_an_unknown_kind_stay_with_a_note():
    pixels = noise(4, 4, 3)
    picture = read(io.BytesIO(png(pixels, chunk(b"cICP", bytes((9, 16, 0, 1))))))
    assert np.array_equal(to_array(picture.image)[0], pixels)
    assert "unknown kind" in picture.notes[0]


def test_transparent_colours_stay_transparent():
    pixels = noise(4, 4, 4)
    picture = read(io.BytesIO(png(pixels, gamma(1.0))))
    assert torch.equal(picture.alpha[0, 0], torch.from_numpy(pixels[..., 3] / np.float32(255)))
