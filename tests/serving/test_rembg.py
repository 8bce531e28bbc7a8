"""What clients of rembg send, over HTTP, and what they get."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import uuid

import pytest
from PIL import Image

from tests.serving.conftest import lit, make, running
from toonout_core.errors import BadInput
from toonout_core.options import rembg as table
from toonout_core.serving.rembg import asked, parse_rgba

PATH = "/api/remove"


def form(fields, picture=None):
    """(body, headers) of a form, as browsers and curl write it."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if picture is not None:
        head = 'Content-Disposition: form-data; name="file"; filename="girl.png"'
        parts.append(f"--{mark}\r\n{head}\r\nContent-Type: image/png\r\n\r\n".encode())
        parts.append(picture + b"\r\n")
    body = b"".join([*parts, f"--{mark}--\r\n".encode()])
    return body, {"Content-Type": f"multipart/form-data; boundary={mark}"}


def png(picture):
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def call(address, body=None, headers=None):
    """(status, content, headers) of an answer."""
    request = urllib.request.Request(address, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def post(server, fields=None, query="", picture=None):
    content = png(lit()) if picture is None else picture
    return call(f"{server}{PATH}{query}", *form(fields or {}, content))


def opened(answer):
    status, content, headers = answer
    assert status == 200, content
    assert headers["Content-Type"] == "image/png"
    return Image.open(io.BytesIO(content))


def test_a_file_becomes_a_cutout(server):
    cutout = opened(post(server))
    assert (cutout.mode, cutout.size) == ("RGBA", (40, 30))
    assert cutout.getpixel((20, 15)) == (255, 255, 255, 255)
    assert cutout.getpixel((2, 2))[3] == 0


def test_parameters_are_taken_from_the_form_and_from_the_address(server):
    for answer in (post(server, {"om": "true"}), post(server, query="?om=1")):
        mask = opened(answer)
        assert mask.mode == "L"
        assert (mask.getpixel((20, 15)), mask.getpixel((2, 2))) == (255, 0)


@pytest.mark.parametrize(
    ("colour", "mode", "outside"),
    [
        ("255,0,0,255", "RGB", (255, 0, 0)),
        ("[0, 255, 0, 255]", "RGB", (0, 255, 0)),
        ("0,0,255,128", "RGBA", (0, 0, 255, 128)),
    ],
)
def test_a_background_may_be_translucent(server, colour, mode, outside):
    result = opened(post(server, {"bgc": colour}))
    assert result.mode == mode
    assert result.getpixel((2, 2)) == outside
    assert result.getpixel((20, 15))[:3] == (255, 255, 255)


def test_without_opacity_nothing_is_behind(server):
    assert opened(post(server, {"bgc": "9,9,9,0"})).getpixel((2, 2))[3] == 0


def test_post_processing_removes_specks(server):
    speckled = lit()
    speckled.paste("white", (2, 2, 5, 5))
    for fields, there in (({}, True), ({"ppm": "true"}, False)):
        alpha = opened(post(server, fields, picture=png(speckled))).getchannel("A")
        assert (alpha.getpixel((3, 3)) > 128) is there
        assert alpha.getpixel((20, 15)) == 255


def test_alpha_matting_is_accepted_and_told(server):
    fields = {"a": "true", "af": "240", "ab": "10", "ae": "15", "model": "u2net"}
    status, _, headers = post(server, fields)
    assert status == 200
    assert "alpha matting is not needed here" in headers["X-ToonOut-Notes"]
    assert "u2net is none of our models" in headers["X-ToonOut-Notes"]
    assert "model: light.safetensors" in headers["X-ToonOut-Notes"]


def test_the_log_says_that_another_model_is_used(server, caplog):
    with caplog.at_level("INFO", "toonout"):
        post(server, {"model": "u2net"})
        post(server, {})
    said = [text for text in caplog.messages if "none of our models" in text]
    assert said == ["model=u2net is none of our models: light.safetensors is used"]


def test_extras_are_options_of_ours(server):
    smaller = opened(post(server, {"extras": json.dumps({"crop": True})}))
    assert smaller.width <= 24


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"extras": "{"}, "must be one JSON object"),
        ({"extras": '{"model_path": "/etc/passwd"}'}, "an option must be one of"),
        ({"extras": '{"sam_prompt": []}'}, "an option must be one of"),
        ({"model": "../../etc/passwd"}, "The model must be one of"),
        ({"af": "256"}, "af must be 0 … 255"),
        ({"om": "perhaps"}, "om must be true or false"),
        ({"bgc": "red"}, "bgc must be four numbers"),
        ({"bgc": "1,2,3,999"}, "bgc must be four numbers"),
        ({"alpha": "1"}, "a parameter must be one of"),
    ],
)
def test_what_is_wrong_is_422_with_a_sentence(server, fields, sentence):
    status, content, _ = post(server, fields)
    assert status == 422
    assert sentence in json.loads(content)["detail"]


def test_what_is_no_picture_is_422(server):
    status, content, _ = post(server, picture=b"hello")
    assert (status, "picture" in json.loads(content)["detail"]) == (422, True)
    status, content, _ = call(f"{server}{PATH}", *form({"om": "true"}))
    assert (status, "file must be" in json.loads(content)["detail"]) == (422, True)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}  # curl --data-binary @girl.png
    status, content, _ = call(f"{server}{PATH}", png(lit()), kind)
    told = json.loads(content)["detail"]
    assert (status, f"but got {kind['Content-Type']}. With curl: -F file=" in told) == (422, True)


def test_what_is_too_large_is_413(weights):
    with running(make(weights, megabytes=1, megapixels=1)) as server:
        assert post(server, picture=b"x" * 1_100_000)[0] == 413
        status, content, _ = post(server, picture=png(Image.new("L", (1100, 1000))))
        assert (status, "at most 1 megapixels" in json.loads(content)["detail"]) == (413, True)
        assert post(server)[0] == 200


def test_a_server_may_fetch_nothing(weights):
    with running(make(weights, urls=False)) as server:
        status, content, _ = call(f"{server}{PATH}?url=http://example.org/a.png")
        assert (status, "fetches nothing" in json.loads(content)["detail"]) == (403, True)
        assert post(server)[0] == 200


def test_an_address_is_needed(server):
    status, content, _ = call(f"{server}{PATH}")
    assert (status, "url must be there" in json.loads(content)["detail"]) == (422, True)


def test_our_own_routes_and_the_page_about_all(server):
    status, content, _ = call(f"{server}/openapi.json")
    paths = json.loads(content)["paths"]
    assert status == 200
    assert {PATH, "/toonout/v1/cutout", "/toonout/v1/instances"} <= set(paths)
    names = [entry["name"] for entry in paths[PATH]["get"]["parameters"]]
    assert names == ["url", "model", "a", "af", "ab", "ae", "om", "ppm", "bgc", "extras"]
    assert b"swagger" in call(f"{server}/")[1]
    assert json.loads(call(f"{server}/toonout/v1/health")[1])["host"] == "toonout serve"


def test_a_strangers_name_for_this_machine_is_told_nothing(server):
    """A page whose name leads here could read the answers otherwise."""
    headers = {"Host": "evil.example"}
    assert call(f"{server}/toonout/v1/health", headers=headers)[0] == 400
    assert call(f"{server}/toonout/v1/health", headers={"Host": "localhost"})[0] == 200


def test_every_model_of_ours_that_stands_for_another_exists():
    from toonout_core.weights import WEIGHTS

    assert {name for name in table.MODELS.values() if name} <= {row.name for row in WEIGHTS}
    assert asked({"model": "birefnet-general"}, "x").options.model == "birefnet"
    assert asked({"model": "isnet-anime"}, "x").options.model == "isnet-anime"
    assert asked({}, "x").options.model == "x"


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,-4", "1,2,3,4,5", "1,2,3,٤", "a,b,c,d"])
def test_colours_that_are_none(text):
    with pytest.raises(BadInput):
        parse_rgba(text)
