"""What stands beside the pixels never decides about them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.imaging.files import chunk, noise, png, saved, tiff
from toonout_core.imaging import Metadata, from_array, read, to_array
from toonout_core.output.writing import encode

PIXELS = noise(6, 5, 3)
GIRL = Image.fromarray(PIXELS)


def read_png(*extra: bytes, **options):
    """The picture is whole, whatever the chunks are."""
    picture = read(io.BytesIO(png(PIXELS, *extra, **options)))
    assert np.array_equal(to_array(picture.image)[0], PIXELS)
    return picture


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (chunk(b"eXIf", b"II*\0"), "EXIF was left out"),
        (chunk(b"pHYs", b"\xff" * 8 + b"\1"), "the resolution was left out"),
        (chunk(b"pHYs", b"\0"), "the resolution was left out"),
        (chunk(b"iCCP", b"x\0\0" + zlib.compress(b"\0" * 200)), "the colour profile was left out"),
        (chunk(b"iCCP", b"x\0\0not packed"), "the colour profile was left out"),
        (chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(17_000_000))), "more than 16 MB"),
        (chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"\xff\xfe")), "a text was left out"),
        (chunk(b"gAMA", b"\0\0\0\1"), "the gamma was left out"),
        (chunk(b"cHRM", struct.pack(">8I", *[0] * 8)), "the gamma was left out"),
        (chunk(b"tRNS", b"\0"), "tRNS) was left out"),
        (chunk(b"tEXt", b"a\0b")[:-1] + b"\0", "tEXt) was left out"),
    ],
)  # fmt: skip
def test_what_is_broken_in_a_png_is_left_out_with_a_note(extra, told):
    picture = read_png(extra)
    assert any(told in note for note in picture.notes)
    assert picture.alpha is None and picture.metadata.icc_profile is None


@pytest.mark.parametrize("key", ["transparency", "dpi", "gamma", "exif", "icc_profile", "duration"])
def test_a_text_may_be_called_as_a_part_of_the_file(key):
    picture = read_png(chunk(b"tEXt", key.encode() + b"\0" + b"300"))
    assert picture.metadata.text == {key: "300"}
    assert picture.alpha is None and picture.metadata.dpi is None and picture.notes == ()
    # as a host hands it over, opened by Pillow
    info = PngInfo()
    info.add_text(key, "300")
    with Image.open(io.BytesIO(saved(GIRL, "PNG", pnginfo=info))) as opened:
        given = read(opened)
    assert np.array_equal(to_array(given.image)[0], PIXELS)


def test_long_texts_are_kept():
    workflow = "x" * 3_000_000
    packed = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(workflow.encode()))
    behind = chunk(b"iTXt", "prompt\0\0\0\0\0猫".encode())
    assert read_png(packed, after=(behind,)).metadata.text == {"workflow": workflow, "prompt": "猫"}


def test_many_texts_are_unpacked_up_to_a_limit():
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(15_000_000)))
    picture = read_png(*[bomb] * 40)
    assert any("a text was left out" in note for note in picture.notes)


def test_resolution_of_a_tiff(tmp_path):
    stream = io.BytesIO()
    GIRL.save(stream, "TIFF", dpi=(2**32 - 1, 2**32 - 1))
    picture = read(stream)
    assert picture.metadata.dpi is None
    assert "the resolution was left out" in picture.notes[0]


def test_parts_of_exif_that_are_broken_do_not_spoil_the_rest():
    exif = Image.Exif()
    exif[0x112], exif[0x13B] = 6, "An Artist"
    data = bytearray(exif.tobytes())
    picture = read(io.BytesIO(saved(GIRL, "JPEG", exif=bytes(data[:-4]))))  # the text is cut
    assert picture.size_hw == (5, 6)


def test_orientation_stands_in_exif_only():
    """Browsers do not look for it in XMP or in a text of ImageMagick's; nor is it carried on."""
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    picture = read_png(chunk(b"iTXt", f"XML:com.adobe.xmp\0\0\0\0\0{xmp}".encode()))
    assert 'tiff:Orientation="1"' in picture.metadata.text["XML:com.adobe.xmp"]
    raw = read_png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      8\n4949"))
    assert raw.metadata.text == {} and "Raw profile type exif was left out" in raw.notes[0]


# ---------------------------------------------------------------- who made it


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_artist_and_copyright_survive(format):
    exif = Image.Exif()
    exif[0x13B], exif[0x8298] = "An Ärtist 猫".encode(), "© someone".encode()
    picture = read(io.BytesIO(saved(GIRL, format, exif=exif)))
    assert (picture.metadata.artist, picture.metadata.copyright) == ("An Ärtist 猫", "© someone")
    for kind in ("png", "webp", "jpg", "tiff"):
        stream = io.BytesIO()
        encode(stream, picture.image, format=kind, metadata=picture.metadata)
        again = read(stream).metadata
        assert (again.artist, again.copyright) == ("An Ärtist 猫", "© someone"), kind
    deep = io.BytesIO()
    encode(deep, picture.image, bits=16, metadata=picture.metadata)
    assert read(deep).metadata.artist == "An Ärtist 猫"


def test_nothing_is_written_where_nothing_is_known():
    stream = io.BytesIO()
    encode(stream, from_array(PIXELS), metadata=Metadata())
    assert b"eXIf" not in stream.getvalue()


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"UNICODE\0" + "1girl, 猫\nSteps: 20".encode("utf-16-be"), "1girl, 猫\nSteps: 20"),
        (b"UNICODE\0" + "1girl, 猫\nSteps: 20".encode("utf-16-le"), "1girl, 猫\nSteps: 20"),
        (b"UNICODE\0" + "猫, 1girl".encode("utf-16"), "猫, 1girl"),
        (b"ASCII\0\0\0" + b"1girl\0", "1girl"),
        (b"\0" * 8 + "1girl, 猫".encode(), "1girl, 猫"),
        (b"JIS\0\0\0\0\0abc", None),
        (b"", None),
    ],
)
def test_the_byte_order_of_a_user_comment_is_guessed(comment, text):
    exif = Image.Exif()
    exif[0x8769] = {0x9286: comment}
    metadata = read(io.BytesIO(saved(GIRL, "JPEG", exif=exif))).metadata
    assert metadata.text.get("parameters") == text


def test_tiffs_have_parameters_too():
    assert read(io.BytesIO(tiff(PIXELS))).metadata.text == {}
