import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from toonout_core import imaging
from toonout_core.errors import BadInput
from toonout_core.imaging import guard, layouts


def saved(picture, **options):
    stream = io.BytesIO()
    picture.save(stream, **options)
    stream.seek(0)
    return stream


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16)])
def test_every_level_survives_the_way_to_float_and_back(dtype, bits):
    levels = np.arange(2**bits, dtype=dtype).reshape(1, 16, -1, 1)
    assert np.array_equal(imaging.to_array(imaging.from_array(levels), bits), levels)


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)))
def test_axes_are_height_width_channel(array):
    planes = imaging.from_array(array)
    assert planes.shape == (1, array.shape[2], array.shape[0], array.shape[1])
    assert np.array_equal(imaging.to_array(planes)[0], array)


def test_unit_levels_keep_every_level_in_double_precision():
    shares = imaging.unit_levels(np.arange(256, dtype=np.uint8))
    assert shares.dtype == np.float64 and shares[51] == 0.2
    assert np.array_equal((shares * 255).astype(np.uint8), np.arange(256))


def test_comfy_image_with_alpha_is_split_and_joined():
    image = torch.rand(2, 5, 7, 4)
    planes, alpha = imaging.from_comfy(image)
    assert torch.equal(imaging.to_comfy(torch.cat((planes, alpha), 1)), image)
    assert imaging.from_comfy(image[..., :3])[1] is None


def test_comfy_grey_becomes_rgb():
    planes, _ = imaging.from_comfy(torch.rand(1, 4, 4, 1))
    assert planes.shape == (1, 3, 4, 4)
    assert torch.equal(planes[:, 0], planes[:, 2])


@pytest.mark.parametrize("shape", [(4, 6), (2, 4, 6), (2, 1, 4, 6), (2, 4, 6, 1)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16])
def test_masks_of_any_shape_and_float_type(shape, dtype):
    mask = imaging.mask_from_comfy(torch.ones(shape, dtype=dtype))
    assert mask.shape[1:] == (1, 4, 6)
    assert mask.dtype == torch.float32


def test_a_mask_of_five_axes_gets_a_sentence():
    with pytest.raises(BadInput, match="MASK must be"):
        imaging.mask_from_comfy(torch.ones(1, 1, 1, 4, 6))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_modes_of_pillow(mode):
    picture = imaging.from_pil(Image.new("RGB", (6, 4), (255, 0, 0)).convert(mode))
    assert picture.size_hw == (4, 6)
    assert (picture.alpha is not None) == (mode in ("LA", "PA", "RGBA"))
    if mode in ("RGB", "RGBA", "P", "CMYK"):
        assert torch.allclose(picture.image[0, :, 0, 0], torch.tensor([1.0, 0, 0]), atol=0.02)


def test_sixteen_bit_grey_keeps_its_levels():
    levels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    picture = imaging.read(saved(Image.fromarray(levels), format="PNG"))
    assert np.array_equal(imaging.to_array(picture.image, 16)[0, ..., 0], levels)


def png_16bit_rgba(pixels):
    """A minimal 16-bit RGBA PNG, written by hand: no library of the project can."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bit_colour_and_alpha_keep_their_levels():
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), dtype=np.uint16)
    picture = imaging.read(io.BytesIO(png_16bit_rgba(pixels)))
    assert np.array_equal(imaging.to_array(picture.image, 16)[0], pixels[..., :3])
    assert np.array_equal(imaging.to_array(picture.alpha, 16)[0], pixels[..., 3:])


def test_palette_with_transparency_has_alpha():
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    read = imaging.read(saved(picture, format="PNG", transparency=1))
    assert read.alpha.flatten().tolist() == [1.0, 0.0]


def test_exif_orientation_is_applied_once():
    picture = Image.new("RGB", (8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    read = imaging.read(saved(picture, format="JPEG", exif=exif))
    assert read.size_hw == (8, 4)


def test_metadata_is_kept():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "1girl, 猫")
    stream = saved(Image.new("RGB", (2, 2)), format="PNG", pnginfo=info, dpi=(300, 300))
    metadata = imaging.read(stream).metadata
    assert metadata.text["parameters"] == "1girl, 猫"
    assert metadata.dpi == pytest.approx((300, 300), abs=0.1)


def test_frames_of_an_animation():
    frames = [Image.new("RGB", (3, 3), (value, 0, 0)) for value in (0, 120, 255)]
    stream = saved(frames[0], format="GIF", save_all=True, append_images=frames[1:])
    reds = [round(float(f.image[0, 0, 0, 0]) * 255) for f in imaging.read_frames(stream)]
    assert reds == [0, 120, 255]


@pytest.mark.parametrize("cut", [0, 1, 20, 200])
def test_broken_files_get_a_sentence(tmp_path, cut):
    path = tmp_path / "broken.png"
    data = saved(Image.effect_noise((64, 64), 50), format="PNG").getvalue()
    path.write_bytes(data[:cut])
    with pytest.raises(BadInput, match=r"broken\.png"):
        imaging.read(path)


def test_a_missing_file_and_a_text_file_get_a_sentence(tmp_path):
    with pytest.raises(BadInput, match="no file"):
        imaging.read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(BadInput, match=r"text\.png"):
        imaging.read(tmp_path / "text.png")


def test_too_many_pixels_get_a_sentence(monkeypatch):
    monkeypatch.setattr(guard, "PIXEL_LIMIT", 100)
    with pytest.raises(BadInput, match="megapixels"):
        imaging.read(saved(Image.new("L", (11, 10)), format="PNG"))


@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size_is_read(height, width):
    assert imaging.read(Image.new("RGB", (width, height))).size_hw == (height, width)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK", "1", "I;16"])
def test_reducing_keeps_orientation_alpha_and_text(mode, tmp_path):
    pixels = np.zeros((40, 80, 4), np.uint8)
    pixels[:, :40] = 255  # light and opaque at the left
    source = Image.fromarray(pixels)
    picture = Image.new(mode, (80, 40)) if mode == "I;16" else source.convert(mode)
    if mode == "I;16":
        picture.paste(65535, (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x112] = 6
    path = tmp_path / "picture.tiff"
    picture.save(path, exif=exif)
    small = imaging.read(path, shrink_to=800)
    assert small.size_hw == (40, 20)
    whole = imaging.read(path)
    assert whole.size_hw == (80, 40)
    for one, other in ((small.image, whole.image), (small.alpha, whole.alpha)):
        assert (one is None) == (other is None)
        if one is not None:
            assert float((one[..., 4, 10] - other[..., 8, 20]).abs().max()) < 0.02
            assert float((one[..., 36, 10] - other[..., 72, 20]).abs().max()) < 0.02
    assert imaging.read(path, shrink_to=3200).size_hw == (80, 40)


def test_layers_there_and_back():
    rgba = np.random.default_rng(0).integers(0, 256, (9, 7, 4)).astype(np.uint8)
    rgba[0, :, 3] = 0
    again = imaging.from_layer(imaging.to_layer(rgba))
    assert np.array_equal(again[..., 3], rgba[..., 3])
    assert np.array_equal(again[1:], rgba[1:]) and not again[0].any()


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (9, 7, 4)])
def test_bytes_and_arrays_are_pictures(shape):
    levels = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "PNG")
    of_file = imaging.read(io.BytesIO(stream.getvalue()))
    flipped = np.ascontiguousarray(levels[:, ::-1])[:, ::-1]  # the same in another order of memory
    for source in (stream.getvalue(), bytearray(stream.getvalue()), levels, flipped):
        picture = imaging.read(source)
        assert torch.equal(picture.image, of_file.image)
        assert (picture.alpha is None) == (len(shape) < 3 or shape[2] == 3)
        if picture.alpha is not None:
            assert torch.equal(picture.alpha, of_file.alpha)


@pytest.mark.parametrize(
    "array", [np.zeros((9, 7, 3)), np.zeros((3, 9, 7), np.uint8), np.zeros((1, 9, 7, 3), np.uint8)]
)
def test_arrays_of_uncertain_range_or_order_are_refused(array):
    with pytest.raises(BadInput, match="must be H×W, H×W×3 or H×W×4 of uint8"):
        imaging.read(array)


def test_broken_bytes_are_said():
    with pytest.raises(BadInput, match="the data given is damaged or not a picture"):
        imaging.read(b"\x89PNG and no more")


@pytest.mark.parametrize("source", [3, None, torch.zeros(3, 4, 4)])
def test_what_is_no_picture_at_all_is_refused(source):
    with pytest.raises(BadInput, match=r"a picture must be a path.*Tensors go to `predict`"):
        imaging.read(source)


@pytest.mark.parametrize("bits", [8, 16])
def test_bands_change_nothing(monkeypatch, bits):
    """Large pictures are converted some rows at a time, which takes little memory beside them."""
    dtype = np.uint8 if bits == 8 else np.uint16
    pixels = np.random.default_rng(0).integers(0, 2**bits, (2, 7, 5, 4)).astype(dtype)
    whole = imaging.from_array(pixels)
    monkeypatch.setattr(layouts, "_BAND", 21)  # two rows of both frames, and one is left over
    assert [rows.stop - rows.start for rows in layouts.bands(7, 10)] == [2, 2, 2, 1]
    assert torch.equal(imaging.from_array(pixels), whole)
    assert np.array_equal(imaging.to_array(whole, bits), pixels)
    assert np.array_equal(imaging.to_array(whole[:, :3], bits, whole[:, 3:]), pixels)
