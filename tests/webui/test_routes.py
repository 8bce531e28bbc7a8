"""The routes over HTTP, as far as they do not depend on a real host."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.counting import count_work
from tests.webui.conftest import served
from tests.webui.fake_host import core, part
from tests.webui.pictures import QUICK, encoded, girl, opened

CUTOUT = "/toonout/v1/cutout"


def test_cutout_is_a_png_with_alpha(client):
    reply = client.post(CUTOUT, json={"image": encoded(girl()), **QUICK})
    assert reply.status_code == 200
    (image,) = reply.json()["images"]
    picture = opened(image)
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", girl().size)
    assert picture.getchannel("A").getextrema()[0] == 0
    assert reply.json()["info"]["model"] == "toonout-mini"
    assert reply.json()["info"]["device"] == "cpu"


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_data_uris_and_other_formats(client, format):
    uri = f"data:image/{format.lower()};base64,{encoded(girl(), format)}"
    reply = client.post(CUTOUT, json={"image": uri, "output": "cutout + mask", **QUICK})
    cutout, mask = (opened(image) for image in reply.json()["images"])
    assert (cutout.mode, mask.mode) == ("RGBA", "L")
    assert mask.tobytes() == cutout.getchannel("A").tobytes()


def test_mask_alone(client):
    reply = client.post("/toonout/v1/mask", json={"image": encoded(girl()), **QUICK})
    assert opened(reply.json()["images"][0]).mode == "L"


def test_background_picture(client):
    body = {"image": encoded(girl()), "background_image": encoded(girl((8, 8))), **QUICK}
    assert opened(client.post(CUTOUT, json=body).json()["images"][0]).mode == "RGB"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "image must be there"),
        ({"image": 7}, "image must be a text of base64"),
        ({"image": "not base64!"}, "as base64 or as a data URI"),
        ({"image": "/etc/hostname"}, "as base64 or as a data URI"),
        ({"image": "https://example.org/a.png"}, "as base64 or as a data URI"),
        ({"image": ""}, "as base64 or as a data URI"),
        ({"image": "aGVsbG8="}, "must be a picture such as PNG"),
        ({"path": "x"}, "a request must only have"),
        ({"image": "aGVsbG8=", "gamma": 0}, "gamma must be 0.1 … 10"),
        ({"image": "aGVsbG8=", "colour": "sky"}, "a colour must be"),
    ],
)
def test_bad_input_is_422_with_a_sentence(client, body, sentence):
    reply = client.post(CUTOUT, json=body)
    assert reply.status_code == 422
    assert sentence in reply.json()["detail"]


def test_a_truncated_picture_is_422(client):
    whole = encoded(girl())
    reply = client.post(CUTOUT, json={"image": whole[: len(whole) // 8 * 4]})
    assert reply.status_code == 422


def test_a_path_is_no_model(client, tmp_path):
    reply = client.post(CUTOUT, json={"image": encoded(girl()), "model": str(tmp_path)})
    assert reply.status_code == 422


def test_a_missing_model_is_503_with_the_link(client):
    body = {"image": encoded(girl()), "model": "isnet-anime", "allow_download": False}
    reply = client.post(CUTOUT, json=body)
    assert reply.status_code == 503
    assert "https://huggingface.co/skytnt/anime-seg" in reply.json()["detail"]


def test_what_is_too_large_is_413_before_it_is_read(host, client):
    host.opts.data["toonout_api_megabytes"] = 1
    reply = client.post(CUTOUT, content=b"x" * 1_100_000)
    assert reply.status_code == 413
    assert "at most 1 MB" in reply.json()["detail"]


def test_what_does_not_tell_its_length_is_stopped_on_the_way(host):
    """Straight at the application: the test client joins the chunks."""
    host.opts.data["toonout_api_megabytes"] = 1
    read, sent = [], []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b" " * 100_000, "more_body": len(read) < 40}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": CUTOUT, "root_path": "",
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    asyncio.run(served(host)(scope, receive, send))
    assert sent[0]["status"] == 413
    assert b"at most 1 MB, but has 1.1 MB" in sent[1]["body"]
    assert len(read) == 11


def test_work_waits_in_the_hosts_queue(host, client):
    seen = []
    original = core("serving.routes").cut

    def watched(*arguments):
        seen.append(host.queue_lock.locked())
        return original(*arguments)

    core("serving.routes").cut = watched
    client.post(CUTOUT, json={"image": encoded(girl()), **QUICK})
    assert seen == [True]
    assert not host.queue_lock.locked()
    assert host.state.jobs == ["ToonOut"]


def test_health_models_and_unload(client):
    health = client.get("/toonout/v1/health").json()
    assert (health["ok"], health["device"], health["loaded"]) == (True, "cpu", [])
    client.post(CUTOUT, json={"image": encoded(girl()), **QUICK})
    assert client.get("/toonout/v1/health").json()["loaded"] == ["toonout-mini"]
    assert client.post("/toonout/v1/unload").json() == {"unloaded": ["toonout-mini"]}
    models = {row["name"]: row for row in client.get("/toonout/v1/models").json()["models"]}
    assert models["toonout-mini"]["here"]
    assert not models["birefnet-cod"]["here"]


def test_no_reply_but_an_error_names_a_folder(host, client):
    for path in ("health", "models"):
        assert str(host.folder) not in client.get(f"/toonout/v1/{path}").text


def test_openapi_tells_every_option(client):
    paths = client.get("/openapi.json").json()["paths"]
    content = paths[CUTOUT]["post"]["requestBody"]["content"]["application/json"]
    properties = content["schema"]["properties"]
    assert properties["radius_px"]["default"] == 90
    assert properties["fit"]["enum"] == ["auto", "squash", "pad"]
    assert {"/toonout/v1/mask", "/toonout/v1/models", "/toonout/v1/unload"} <= set(paths)


# ---------------------------------------------------------------- who may


def statuses(host, auth=None):
    from fastapi.testclient import TestClient

    client = TestClient(served(host))
    body = {"image": "aGVsbG8="}
    return [
        client.get("/toonout/v1/health", auth=auth).status_code,
        client.get("/toonout/v1/models", auth=auth).status_code,
        client.post(CUTOUT, json=body, auth=auth).status_code,
        client.post("/toonout/v1/unload", auth=auth).status_code,
    ]


@pytest.mark.parametrize(
    "flags",
    [{"api_auth": "a:b,c:d:e"}, {"gradio_auth": "a:b, c:d:e"}, {"auth": "a:b,c:d:e"}],
)
def test_credentials_of_the_host_are_asked_for(start, flags):
    with start(**flags) as host:
        assert statuses(host) == [401] * 4
        assert statuses(host, ("a", "wrong")) == [401] * 4
        assert statuses(host, ("nobody", "")) == [401] * 4
        assert statuses(host, ("a", "b")) == [200, 200, 422, 200]
        assert statuses(host, ("c", "d:e")) == [200, 200, 422, 200]


@pytest.mark.parametrize("name", ["gradio_auth_path", "auth_file"])
def test_credentials_of_a_file(start, tmp_path, name):
    (tmp_path / "who").write_text("a:b\nc:d\n", "utf-8")
    with start(**{name: str(tmp_path / "who")}) as host:
        assert statuses(host)[0] == 401
        assert statuses(host, ("c", "d"))[0] == 200


def test_without_the_hosts_api_only_health_answers(start):
    with start(api=False) as host:
        assert statuses(host) == [200, 404, 404, 404]
    with start(api=False, nowebui=True) as host:
        assert statuses(host) == [200, 200, 422, 200]


# ---------------------------------------------------------------- characters


def two():
    """Two girls that do not touch."""
    from PIL import Image

    picture = Image.new("RGB", (256, 160), (60, 120, 220))
    for left in (10, 150):
        picture.paste(girl((96, 150)), (left, 10))
    return picture


def halves(detector, options):
    """Stands for a detector that finds one character on the left and one on the right."""
    import torch

    masks = torch.zeros(2, 160, 256, dtype=torch.bool)
    masks[0, 40:150, 40:80] = masks[1, 40:150, 180:220] = True
    instances = core("instances").Instances
    return lambda picture, options: instances.from_masks(masks, origin="detector")


def test_instances(client, monkeypatch):
    monkeypatch.setattr(part("characters").DETECTORS, "segmenter", halves)
    reply = client.post("/toonout/v1/instances", json={"image": encoded(two())})
    assert reply.status_code == 200, reply.text
    found = reply.json()["instances"]
    assert [row["index"] for row in found] == list(range(len(found)))
    assert len(found) == 2
    left, right = (opened(row["mask"]).point(lambda v: 255 * (v > 128)) for row in found)
    assert left.getbbox()[2] <= 128 <= right.getbbox()[0]
    assert opened(found[0]["cutout"]).mode == "RGBA"
    assert opened(reply.json()["overlay"]).size == (256, 160)
    masks = [opened(text) for text in (*(row["mask"] for row in found), reply.json()["background"])]
    total = sum(np.asarray(mask, np.int32) for mask in masks)
    assert np.abs(total - 255).max() <= 2  # each of the three is rounded
    assert reply.json()["info"]["origin"] == "detector"
    assert client.post("/toonout/v1/unload").json()["unloaded"] == ["toonout-mini"]


def test_the_embedded_model_serves_as_detector(client, monkeypatch):
    work = count_work(monkeypatch, "toonout_extension.toonout_core")
    body = {"image": encoded(two()), "detector": "toonout-mini", "limit": 1}
    found = client.post("/toonout/v1/instances", json=body).json()
    assert len(found["instances"]) == 1
    assert found["info"]["origin"] == "centres in the matte"
    assert (work.loads, work.inferences) == (1, 1)  # not one for the detector, one for the matte


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"detector": "yolo.pt"}, "detector must be one of toonout-mini, toonout-mini-regions"),
        ({"min_score": 2}, "min_score must be 0 … 1"),
        ({"limit": -1}, "limit must be 0 … 1000"),
        ({"crop": True}, "a request must only have"),
    ],
)
def test_wrong_wishes_for_instances(client, body, sentence):
    reply = client.post("/toonout/v1/instances", json={"image": encoded(girl()), **body})
    assert reply.status_code == 422
    assert sentence in reply.json()["detail"]


def test_an_embedded_model_that_is_gone_is_503(host, client, monkeypatch, tmp_path):
    locating = "toonout_extension.toonout_core.weight_files.locating"
    monkeypatch.setattr(f"{locating}.ASSETS", tmp_path)
    for route in ("cutout", "instances"):
        reply = client.post(f"/toonout/v1/{route}", json={"image": encoded(girl())})
        assert reply.status_code == 503
        assert str(tmp_path / "toonout-mini.safetensors") in reply.json()["detail"]
        assert "install ToonOut again" in reply.json()["detail"]


def test_a_missing_detector_is_503(host, client):
    host.opts.data["toonout_allow_download"] = False
    body = {"image": encoded(girl()), "detector": "anime-instances"}
    assert client.post("/toonout/v1/instances", json=body).status_code == 503
