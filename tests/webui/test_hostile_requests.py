"""Whatever a client sends: a 4xx with a sentence, and bounded memory; never a 500."""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
import zlib
from importlib.machinery import ModuleSpec
from itertools import product
from types import ModuleType, SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.webui.fake_host import core
from tests.webui.pictures import QUICK, encoded, girl

ROUTES = ("/toonout/v1/cutout", "/toonout/v1/mask", "/toonout/v1/instances")
CUTOUT = ROUTES[0]
JSON = {"Content-Type": "application/json"}
NUMBERS = (
    "resolution", "radius_px", "refine_radius_px", "black_point", "white_point", "gamma", "grow_px",
    "feather_px", "fill_holes_px", "drop_specks_px", "margin_px",
)  # fmt: skip


def sentence(reply, case="") -> str:
    assert 400 <= reply.status_code < 500, (case[:80], reply.status_code, reply.text[:300])
    detail = reply.json()["detail"]
    assert isinstance(detail, str)
    assert detail.isprintable()
    assert len(detail) < 1100
    return detail


def post(client, route, text):
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return client.post(route, content=content, headers=JSON)


BODIES = {
    "nothing": "",
    "no JSON": "image=girl.png",
    "no text": b"\xff\xfe\x00",
    "cut off": '{"image": "aGVs',
    "a number": "7",
    "a list": "[1, 2]",
    "a text": '"\\ud800"',
    "nothing in it": "{}",
    "null": "null",
    "deep": "[" * 5000,
    "very deep": "[" * 1_000_000,
    "deep value": '{"image": ' + "[" * 5000 + "]" * 5000 + "}",
    "many lists": "[" + "[]," * 2_000_000 + "[]]",
    "many keys": "{" + ",".join(f'"k{n}": 1' for n in range(200_000)) + "}",
    "number of 5000 digits": '{"image": "aGVsbG8=", "gamma": ' + "9" * 5000 + "}",
    "surrogate as a key": '{"\\ud800": 1}',
    "surrogates as bytes": '{"\ud800": 1}',
    "surrogate as a picture": '{"image": "\\ud800"}',
    "surrogate as a model": '{"image": "aGVsbG8=", "model": "\\ud800"}',
    "NUL as a model": '{"image": "aGVsbG8=", "model": "a\\u0000b"}',
    "path as a model": '{"image": "aGVsbG8=", "model": "../../etc/passwd"}',
    "control characters": '{"image": "aGVsbG8=", "model": "\\u001b[2J"}',
    "picture that is a list": '{"image": ["aGVsbG8="]}',
    "long option": json.dumps({"image": "aGVsbG8=", "gamma": "x" * 3_000_000}),
    "blanks only": json.dumps({"image": " \n" * 1_000_000}),
    "letters of no base64": json.dumps({"image": "é" * 100}),
}


def test_a_body_that_is_none_is_a_sentence(client):
    for case, route in product(BODIES, ROUTES):
        sentence(post(client, route, BODIES[case]), case)


VALUES = [
    "9" * 400, "-" + "9" * 400, "1e999", "-1e999", "NaN", "Infinity", "true", "[]", "{}",
    '"\\ud800"',    '"' + "9" * 400 + '"', '"nan"', '"1e999"', '""', '"\\u0000"', "0.5e-300",
]  # fmt: skip


def test_no_option_is_too_odd(client):
    """With a picture that is none: whatever the option is, nothing is cut out."""
    for name, value in product(NUMBERS, VALUES):
        body = f'{{"image": "aGVsbG8=", "{name}": {value}}}'
        sentence(post(client, CUTOUT, body), body)
    for name, value in product(["min_score", "limit", "detector", "model", "precision"], VALUES):
        body = f'{{"image": "aGVsbG8=", "{name}": {value}}}'
        sentence(post(client, ROUTES[2], body), body)


def png(width: int, height: int, rows: bytes = b"") -> str:
    """A PNG whose header says so; its pixels may lack."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return base64.b64encode(content + chunk(b"IEND", b"")).decode()


def test_a_large_picture_is_refused_before_it_is_decoded(client, monkeypatch):
    load = Image.Image.load

    def watched(picture):
        assert picture.width * picture.height < 10**6, "it was decoded"
        return load(picture)

    monkeypatch.setattr(Image.Image, "load", watched)
    sizes = [(5001, 5000), (10_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)]
    for route, size in product(ROUTES, sizes):
        reply = client.post(route, json={"image": png(*size)})
        assert reply.status_code in (413, 422)
        assert "must have at most" in sentence(reply)


def test_the_limit_is_a_setting(host, client):
    picture = encoded(girl((1100, 1000)))
    host.opts.data["toonout_api_megapixels"] = 1
    reply = client.post(CUTOUT, json={"image": picture, **QUICK})
    assert reply.status_code == 413
    assert "image must have at most 1 megapixels, but has 1100×1000" in sentence(reply)
    body = {"image": encoded(girl()), "background_image": picture, **QUICK}
    reply = client.post(CUTOUT, json=body)
    assert reply.status_code == 413
    assert "background_image must have" in sentence(reply)
    host.opts.data["toonout_api_megapixels"] = 2
    assert client.post(CUTOUT, json={"image": picture, **QUICK}).status_code == 200


def test_masks_of_many_characters_of_a_large_picture_are_refused(client):
    size = (4000, 4000)
    picture = png(*size)
    reply = client.post(ROUTES[2], json={"image": picture, "limit": 26})
    assert "limit must be at most 25 for a picture of 4000×4000, but got 26" in sentence(reply)
    # one fewer goes on to the pixels, which lack
    assert "limit" not in sentence(client.post(ROUTES[2], json={"image": picture, "limit": 25}))


def test_a_resolution_that_the_device_cannot_hold_is_refused(client, monkeypatch):
    # toonout-mini: 400 bytes a pixel, 1 megapixel
    monkeypatch.setattr(core("serving.memory"), "room", lambda device: 400 * 1024**2)
    body = {"image": encoded(girl())}
    text = sentence(client.post(CUTOUT, json={**body, "resolution": 1088}))
    assert "resolution must be at most 1024 for toonout-mini on this device (cpu)" in text
    monkeypatch.setattr(core("serving.memory"), "room", lambda device: 400 * 64**2)
    assert client.post(CUTOUT, json={**body, "resolution": 64}).status_code == 200
    monkeypatch.setattr(core("serving.memory"), "room", lambda device: None)
    assert client.post(CUTOUT, json={**body, "resolution": 64}).status_code == 200


def test_the_room_of_a_machine(host, monkeypatch):
    told = SimpleNamespace(available=5, total=9)
    module = ModuleType("psutil")
    module.__spec__ = ModuleSpec("psutil", None)
    module.virtual_memory = lambda: told  # type: ignore
    monkeypatch.setitem(sys.modules, "psutil", module)
    assert core("serving.memory").room(torch.device("cpu")) == 5
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert core("serving.memory").room(torch.device("cpu")) is None


NO_MEMORY = {
    "Python": MemoryError(),
    "CUDA": torch.cuda.OutOfMemoryError("CUDA out of memory"),
    "CPU": RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0"),
    "cuDNN": RuntimeError("CUDNN_STATUS_ALLOC_FAILED"),
    "MPS": RuntimeError("MPS backend out of memory"),
}


@pytest.mark.parametrize("error", NO_MEMORY.values(), ids=NO_MEMORY)
def test_too_little_memory_is_507(client, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr(core("serving.routes"), "cut", full)
    reply = client.post(CUTOUT, json={"image": encoded(girl()), **QUICK})
    assert reply.status_code == 507
    assert "too little memory" in reply.json()["detail"]


def test_what_nobody_thought_of_is_a_sentence_and_in_the_log(client, monkeypatch, caplog):
    def odd(*_):
        raise KeyError("a\n\ud800b")

    monkeypatch.setattr(core("serving.routes"), "cut", odd)
    text = sentence(client.post(CUTOUT, json={"image": encoded(girl()), **QUICK}))
    assert "KeyError" in text
    assert "a request failed" in caplog.text


def test_a_length_that_is_none_is_no_error(host):
    whole = core("serving.admission")._whole
    assert [whole(text) for text in ("9" * 5000, "-5", "1e9", "0x10", "²", "")] == [0] * 6
    assert whole("123") == 123


def file_of(picture: Image.Image, format: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format)
    return stream.getvalue()


OPTION = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300, max_value=10**400),
    st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=2),
    st.text(alphabet="\ud800\udfff\0\n\x1b", max_size=3),
)  # fmt: skip


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_random_wishes(client, data):
    names = st.sampled_from([*NUMBERS, "model", "output", "fit", "colour", "crop", "detector", "x"])
    body = data.draw(st.dictionaries(names, OPTION, max_size=4)) | {"image": "aGVsbG8="}
    route = data.draw(st.sampled_from(ROUTES))
    sentence(post(client, route, json.dumps(body)))


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    format=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]),
    place=st.floats(0, 1),
    noise=st.binary(max_size=8),
    cut=st.floats(0.1, 1),
)
def test_damaged_pictures(client, format, place, noise, cut):
    content = bytearray(file_of(girl((24, 32)), format))
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    content = content[: int(cut * len(content)) + 1]
    body = {"image": base64.b64encode(content).decode(), "clean_colours": False, **QUICK}
    reply = client.post(CUTOUT, json=body)
    assert reply.status_code in (200, 413, 422), reply.text
