"""Files keep what they came with, and are whole or absent."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms

from toonout_core.errors import BadInput
from toonout_core.imaging import Metadata, from_array, read, to_array
from toonout_core.output.publishing import numbered, partial_file, publish, publish_numbered
from toonout_core.output.writing import encode, write

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
METADATA = Metadata(
    text={"parameters": "1girl, 猫 ears\nSteps: 20", "prompt": '{"3": {}}'},
    icc_profile=SRGB,
    dpi=(300.0, 300.0),
)


def ramp(height: int = 9, width: int = 13) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(1, 3, height, width)
    alpha = torch.linspace(0, 1, height * width).reshape(1, 1, height, width)
    return image, alpha


@pytest.mark.parametrize("bits", [8, 16])
def test_png_keeps_pixels_and_metadata(tmp_path: Path, bits: int) -> None:
    image, alpha = ramp()
    path = write(tmp_path / "a.png", image, alpha, bits=bits, metadata=METADATA)
    back = read(path)
    assert back.bits == bits
    assert np.array_equal(to_array(back.image, bits), to_array(image, bits))
    assert back.alpha is not None
    assert np.array_equal(to_array(back.alpha, bits), to_array(alpha, bits))
    assert back.metadata.text == METADATA.text
    assert back.metadata.icc_profile == SRGB
    assert back.metadata.dpi == pytest.approx((300, 300), abs=0.02)


def test_grey_png_of_16_bits(tmp_path: Path) -> None:
    _, alpha = ramp(70, 3)  # more rows than one block of the filter
    back = read(write(tmp_path / "a.png", alpha, bits=16))
    assert np.array_equal(to_array(back.image[:, :1], 16), to_array(alpha, 16))


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(
        np.uint16,
        st.tuples(st.integers(1, 70), st.integers(1, 5), st.sampled_from([1, 3, 4])),
    )
)
def test_any_16_bit_picture_survives(pixels: np.ndarray) -> None:
    import cv2

    planes = from_array(pixels)
    stream = io.BytesIO()
    alpha = planes[:, 3:] if planes.shape[1] == 4 else None
    encode(stream, planes[:, :3], alpha, bits=16)
    decoded = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    assert np.array_equal(decoded.reshape(pixels.shape)[..., order], pixels)


def test_masks_of_1_bit(tmp_path: Path) -> None:
    mask = torch.tensor([[0.0, 0.5, 0.51, 1.0, 0.0, 1.0, 1.0, 0.2, 0.9]])[None, None]
    path = write(tmp_path / "mask.png", mask, bits=1)
    with Image.open(path) as picture:
        assert picture.mode == "1"
    assert torch.equal(read(path).image[:, :1], (mask > 0.5).float())
    with pytest.raises(BadInput, match="1 bit must be a mask"):
        write(tmp_path / "colour.png", torch.zeros(1, 3, 2, 2), bits=1)
    with pytest.raises(BadInput, match="must have 8 bits"):
        write(tmp_path / "mask.webp", mask, bits=1)


def test_webp_is_lossless_down_to_hidden_colours(tmp_path: Path) -> None:
    image, alpha = ramp()
    path = write(tmp_path / "a.webp", image, alpha, metadata=METADATA)
    back = read(path)
    assert np.array_equal(to_array(back.image), to_array(image))
    assert back.metadata.icc_profile == SRGB
    assert back.metadata.text == {"parameters": METADATA.text["parameters"]}
    lossy = write(tmp_path / "b.webp", image, alpha, quality=50)
    assert not np.array_equal(to_array(read(lossy).image), to_array(image))


def test_tiff_keeps_alpha_icc_and_dpi(tmp_path: Path) -> None:
    image, alpha = ramp()
    back = read(write(tmp_path / "a.tiff", image, alpha, metadata=METADATA))
    assert back.alpha is not None
    assert np.array_equal(to_array(back.alpha), to_array(alpha))
    assert back.metadata.icc_profile == SRGB
    assert back.metadata.dpi == pytest.approx((300, 300), abs=0.02)


def test_jpg_is_opaque(tmp_path: Path) -> None:
    image, alpha = ramp()
    with pytest.raises(BadInput, match="background colour"):
        write(tmp_path / "a.jpg", image, alpha)
    assert list(tmp_path.iterdir()) == []
    back = read(write(tmp_path / "a.jpg", image * 0 + 0.5, metadata=METADATA))
    assert back.alpha is None
    assert back.metadata.icc_profile == SRGB
    assert back.metadata.dpi == (300, 300)
    assert back.metadata.text["parameters"] == METADATA.text["parameters"]


def test_foreign_colour_space_is_not_passed_on(tmp_path: Path) -> None:
    image, _ = ramp()
    cmyk = SRGB[:16] + b"CMYK" + SRGB[20:]
    back = read(write(tmp_path / "a.png", image, metadata=Metadata(icc_profile=cmyk)))
    assert back.metadata.icc_profile is None


@pytest.mark.parametrize(("name", "bits"), [("a.webp", 16), ("a.tiff", 16), ("a.bmp", 8)])
def test_what_a_format_cannot_hold_is_a_sentence(tmp_path: Path, name: str, bits: int) -> None:
    with pytest.raises(BadInput, match="must"):
        write(tmp_path / name, ramp()[0], bits=bits)
    assert list(tmp_path.iterdir()) == []


def test_webp_has_a_largest_side(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="16383"):
        write(tmp_path / "a.webp", torch.zeros(1, 3, 1, 16384))


def test_taken_names_are_numbered_and_replaced_on_request_alone(tmp_path: Path) -> None:
    image, _ = ramp()
    first = write(tmp_path / "a.png", image)
    before = first.read_bytes()
    assert write(tmp_path / "a.png", image * 0) == tmp_path / "a_2.png"
    assert write(tmp_path / "a.png", image * 0) == tmp_path / "a_3.png"
    assert first.read_bytes() == before
    assert write(first, image * 0, overwrite=True) == first
    assert first.read_bytes() != before


def test_nothing_is_left_when_encoding_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(stream: io.BufferedWriter, *_: object, **__: object) -> None:
        stream.write(b"half a picture")
        raise KeyboardInterrupt

    monkeypatch.setattr("toonout_core.output.writing.encode", broken)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.png", ramp()[0])
    assert list(tmp_path.iterdir()) == []


def test_frames_get_one_number_together(tmp_path: Path) -> None:
    (tmp_path / "b.png").touch()
    with partial_file(tmp_path) as one, partial_file(tmp_path) as two:
        one.write_bytes(b"1")
        two.write_bytes(b"2")
        names = publish_numbered(
            [one, two], lambda n: [numbered(tmp_path / x, n) for x in ("a.png", "b.png")]
        )
    assert [name.name for name in names] == ["a_2.png", "b_2.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_2.png", "b.png", "b_2.png"]


def test_publishing_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    with partial_file(tmp_path) as partial:
        partial.write_bytes(b"new")
        publish(partial, tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes() == b"new"
        partial.write_bytes(b"newer")
        with pytest.raises(FileExistsError):
            publish(partial, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"new"


def test_png_is_packed_quickly_but_never_much_larger() -> None:
    """Runs alone serve drawings; halftones need what repeats further away, too."""
    y, x = np.mgrid[:256, :256]
    dots = (np.sin(x * 2 * np.pi / 6.3) + np.sin(y * 2 * np.pi / 6.3) > 0.3) * 255
    drawn = np.where(np.hypot(x - 120, y - 130) < 90, 200 + x // 40, 30 + y // 64)
    for pixels in (dots, drawn, np.zeros((3, 5))):
        image = from_array(np.repeat(pixels[..., None], 3, -1).astype(np.uint8))
        stream, usual = io.BytesIO(), io.BytesIO()
        encode(stream, image)
        with Image.open(stream) as picture:
            assert np.array_equal(np.asarray(picture)[..., 0], pixels)
            picture.save(usual, "PNG", compress_level=4)
        assert stream.tell() <= usual.tell() * 1.15 + 64
