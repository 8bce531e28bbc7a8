"""HTTP routes of our own: /sdapi reaches no option of an extension's Extras script.

Pictures go in and out as base64. No route takes a path or a URL of anything.
"""

from __future__ import annotations

import base64
import binascii
import io
import logging
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from typing import Any

from fastapi import APIRouter, Body, FastAPI, HTTPException

from ..toonout_core import (
    WEIGHTS,
    BadInput,
    Cancelled,
    CorruptWeights,
    DownloadFailed,
    ToonOutError,
    UnknownModel,
    __version__,
)
from ..toonout_core.weight_files.locating import find_file
from . import characters, hosts
from .admission import LimitedRoute, dependencies, require_size
from .cutting import Cut, cut, cutout_png, png, wish
from .host import WebUIHost
from .options import CutoutOptions, shown
from .pipelines import PIPELINES, default_model, model_names

log = logging.getLogger("toonout")

PREFIX = "/toonout/v1"
PICTURES = ("image", "background_image")
INSTANCE_OPTIONS = ("detector", "min_score", "limit")
# of CutoutOptions, for characters
FOUND_OPTIONS = (
    "clean_colours", "radius_px", "refine_radius_px", "foreground_method", "precision",
    "patch_order", "allow_download",
)  # fmt: skip

Json = dict[str, Any]


def on_app_started(_demo: Any, app: FastAPI) -> None:
    """Called by the host with a new application at every start of its server."""
    router = APIRouter(
        prefix=PREFIX, tags=["ToonOut"], route_class=LimitedRoute, dependencies=dependencies()
    )
    router.add_api_route("/health", health, methods=["GET"], summary="Whether ToonOut is ready")
    if serves():
        add = router.add_api_route
        add("/models", models, methods=["GET"], summary="Models and whether they are here")
        add("/unload", unload, methods=["POST"], summary="Forget loaded models")
        every = [option.name for option in fields(CutoutOptions)]
        for path, work, summary, names in (
            ("/cutout", cutout, "Cut a character out", [*PICTURES, *every]),
            ("/mask", mask, "The mask alone, white is the character", [*PICTURES, *every]),
            ("/instances", instances, "Every character by itself",
             ["image", *INSTANCE_OPTIONS, "model", *FOUND_OPTIONS]),
        ):  # fmt: skip
            add(path, work, methods=["POST"], summary=summary, openapi_extra=_body_schema(names))
    app.include_router(router)


def serves() -> bool:
    """Routes that work are there where the host's own API is."""
    asked = hosts.flag("api", False) or hosts.flag("nowebui", False)
    return bool(asked) or hosts.name() == "sdnext"


# ---------------------------------------------------------------- routes


def _answering(work: Callable[[Json], Json]) -> Callable[[Json], Json]:
    """Errors as sentences with a fitting status."""

    @wraps(work)
    def answer(body: Json = Body(...)) -> Json:  # noqa: B008
        try:
            return work(body)
        except (BadInput, UnknownModel) as error:
            raise HTTPException(422, str(error)) from error
        except (DownloadFailed, CorruptWeights, Cancelled) as error:
            raise HTTPException(503, str(error)) from error
        except ToonOutError as error:
            raise HTTPException(507, str(error)) from error

    del answer.__wrapped__  # pyright: ignore (FastAPI would read the inner function's signature)
    return answer


@_answering
def cutout(body: Json) -> Json:
    """Cut the character out: PNG with alpha, the mask, or both, as `output` says."""
    result = _cut(body)
    files = {
        "cutout": [cutout_png(result)],
        "mask": [png(result.matte.alpha)],
        "cutout + mask": [cutout_png(result), png(result.matte.alpha)],
    }[result.options.output]
    return _reply(result, files)


@_answering
def mask(body: Json) -> Json:
    """The mask alone: grey PNG, white is the character."""
    result = _cut({**body, "output": "mask"})
    return _reply(result, [png(result.matte.alpha)])


@_answering
def instances(body: Json) -> Json:
    """Every character by itself: score, box, cutout and mask; a mask of what belongs to none of
    them, and a numbered overlay."""
    given = dict(body)
    asked = {name: given.pop(name, None) for name in INSTANCE_OPTIONS}
    _require_known(given, (*PICTURES[:1], "model", *FOUND_OPTIONS))
    if "image" not in given:
        raise BadInput("image must be there", "no image", "Send it as base64.")
    options = wish({name: value for name, value in given.items() if name != "image"})
    picture = decoded(given["image"], "image")
    detector = characters.DEFAULT_DETECTOR if asked["detector"] is None else asked["detector"]
    min_score = number(asked["min_score"], "min_score", 0.3, 0, 1)
    limit = int(number(asked["limit"], "limit", 100, 1, 1000))
    with hosts.job("ToonOut"):
        found = characters.find(picture, detector, options, min_score=min_score, limit=limit)
    return {
        "instances": [_instance(found, index) for index in range(len(found))],
        "background": base64.b64encode(png(found.background())).decode(),
        "overlay": base64.b64encode(png(found.overlay())).decode(),
        "info": {"detector": detector, "model": options.model, "origin": found.instances.origin},
    }


def number(value: Any, name: str, default: float, least: float, most: float) -> float:
    """A number of a request. Raises BadInput."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadInput(f"{name} must be {least:g} … {most:g}", repr(value))
    return value


def _instance(found: characters.Found, index: int) -> Json:
    matte = found.matte([index])
    instances = found.characters.instances
    return {
        "index": index,
        "score": round(float(instances.scores[index]), 4),
        "box_xyxy": instances.boxes_xyxy[index].tolist(),
        "cutout": base64.b64encode(png(matte.colours, matte.alpha)).decode(),
        "mask": base64.b64encode(png(matte.alpha)).decode(),
    }


def health() -> Json:
    """Whether ToonOut is ready, and where it computes."""
    return {
        "ok": True,
        "version": __version__,
        "host": hosts.name(),
        "device": str(WebUIHost().device()),
        "loaded": PIPELINES.names(),
    }


def models() -> Json:
    """What `model` may be. `here`: no download is needed."""
    host = WebUIHost()
    table = {row.name: row for row in WEIGHTS}
    return {
        "default": default_model(),
        "models": [
            {
                "name": name,
                "purpose": table[name].purpose if name in table else "a file of yours",
                "licence": table[name].licence if name in table else "unknown",
                "here": name not in table or find_file(table[name], host) is not None,
            }
            for name in model_names()
        ],
    }


def unload() -> Json:
    """Forget loaded models and give their memory back."""
    with hosts.job("ToonOut"):
        return {"unloaded": PIPELINES.unload()}


# ---------------------------------------------------------------- bodies


def _cut(body: Json) -> Cut:
    _require_known(body, (*PICTURES, *(option.name for option in fields(CutoutOptions))))
    if "image" not in body:
        raise BadInput("image must be there", "no image", "Send it as base64.")
    values = {name: value for name, value in body.items() if name not in PICTURES}
    if body.get("background_image") is not None:
        values.setdefault("background", "picture")
    options = wish(values)
    picture = decoded(body["image"], "image")
    background = None
    if body.get("background_image") is not None:
        background = decoded(body["background_image"], "background_image")
    with hosts.job("ToonOut"):
        return cut(picture, options, background)


def _require_known(body: Json, known: Iterable[str]) -> None:
    if unknown := sorted(set(body) - set(known)):
        raise BadInput(f"a request must only have {', '.join(sorted(known))}", ", ".join(unknown))


def decoded(text: Any, name: str) -> io.BytesIO:
    """Base64, or a data URI of it → a stream. Raises BadInput."""
    if not isinstance(text, str):
        raise BadInput(f"{name} must be a text of base64", type(text).__name__)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    require_size(len(text))
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        raise BadInput(
            f"{name} must be a picture as base64 or as a data URI", "something else",
            "Paths and URLs are not accepted.",
        )  # fmt: skip
    return io.BytesIO(content)


def _reply(result: Cut, files: list[bytes]) -> Json:
    height, width = result.matte.size_hw
    return {
        "images": [base64.b64encode(file).decode() for file in files],
        "info": {
            "model": result.options.model,
            "output": result.options.output,
            "width": width,
            "height": height,
            "device": result.device,
            "notes": list(result.notes),
        },
    }


def _body_schema(names: list[str]) -> Json:
    """What /docs shows. A plain description: hosts have pydantic 1 or 2."""
    properties: Json = {
        "image": {"type": "string", "description": "base64 or data URI"},
        "background_image": {"type": "string", "description": "base64 or data URI"},
        "detector": {"type": "string", "enum": characters.detector_names()},
        "min_score": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.3},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    }
    kinds: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    for option in fields(CutoutOptions):
        show = shown(option)
        entry: Json = {"type": kinds[type(option.default)], "default": option.default}
        entry["description"] = show.info
        if show.choices:
            entry["enum"] = list(show.choices)
        if show.most:
            entry |= {"minimum": show.least, "maximum": show.most}
        properties[option.name] = entry
    shown_here = {name: entry for name, entry in properties.items() if name in names}
    schema = {"type": "object", "required": ["image"], "properties": shown_here}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}
