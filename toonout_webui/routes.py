"""HTTP routes of our own: /sdapi reaches no option of an extension's Extras script.

Pictures go in and out as base64. No route takes a path or a URL of anything.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

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
from ..toonout_core.errors import plain
from ..toonout_core.host import is_out_of_memory
from ..toonout_core.options.characters import MIN_SCORE
from ..toonout_core.weight_files.locating import find_file
from . import characters, hosts
from .admission import LimitedRoute, dependencies
from .bodies import (
    FOUND_OPTIONS,
    INSTANCE_OPTIONS,
    LIMIT,
    PICTURES,
    Json,
    body_schema,
    decoded,
    most_masks,
    parsed,
    require_known,
)
from .cutting import Cut, cut, cutout_png, png, wish
from .host import WebUIHost
from .options import OPTIONS
from .pipelines import PIPELINES, default_model, model_names

log = logging.getLogger("toonout")

PREFIX = "/toonout/v1"


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
        every = list(OPTIONS)
        for path, work, summary, names in (
            ("/cutout", cutout, "Cut a character out", [*PICTURES, *every]),
            ("/mask", mask, "The mask alone, white is the character", [*PICTURES, *every]),
            ("/instances", instances, "Every character by itself",
             ["image", *INSTANCE_OPTIONS, "model", *FOUND_OPTIONS]),
        ):  # fmt: skip
            add(path, work, methods=["POST"], summary=summary, openapi_extra=body_schema(names))
    app.include_router(router)


def serves() -> bool:
    """Routes that work are there where the host's own API is."""
    asked = hosts.flag("api", False) or hosts.flag("nowebui", False)
    return bool(asked) or hosts.name() == "sdnext"


# ---------------------------------------------------------------- routes


def _answering(work: Callable[[Json], Json]) -> Callable[[Request], Awaitable[Json]]:
    """A route with a body: `work` runs in a thread."""

    async def answer(request: Request) -> Json:
        body = await request.body()
        return await run_in_threadpool(_guarded, lambda: work(parsed(body)))

    answer.__name__, answer.__doc__ = work.__name__, work.__doc__
    return answer


def _guarded(work: Callable[[], Json]) -> Json:
    """Errors as sentences with a fitting status; nothing that a client sends is a 500."""
    try:
        return work()
    except HTTPException:
        raise
    except Exception as error:
        status = _status(error)
        if not isinstance(error, ToonOutError):
            log.exception("a request failed")
        raise HTTPException(status, _sentence(error, status)) from error


def _status(error: Exception) -> int:
    if isinstance(error, BadInput | UnknownModel):
        return 422
    if isinstance(error, DownloadFailed | CorruptWeights | Cancelled):
        return 503
    return 507 if isinstance(error, ToonOutError) or is_out_of_memory(error) else 422


def _sentence(error: Exception, status: int) -> str:
    if isinstance(error, ToonOutError):
        return plain(error, 1000)
    if status == 507:
        return "There is too little memory for this request. Send a smaller picture, or wait."
    reason = plain(error) or type(error).__name__
    return f"The request cannot be fulfilled ({type(error).__name__}: {reason})."


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
    others = dict(body)
    asked = {name: others.pop(name, None) for name in INSTANCE_OPTIONS}
    require_known(others, (*PICTURES[:1], "model", *FOUND_OPTIONS))
    if "image" not in others:
        raise BadInput("image must be there", "no image", "Send it as base64.")
    options = wish({name: value for name, value in others.items() if name != "image"})
    picture, size_hw = decoded(others["image"], "image")
    detector = characters.DEFAULT_DETECTOR if asked["detector"] is None else asked["detector"]
    given = {"min_score": MIN_SCORE.default, "limit": 0} | _without_none(asked)
    min_score, limit = MIN_SCORE.check(given["min_score"]), LIMIT.check(given["limit"])
    most = most_masks(size_hw)
    limit = limit or most
    if limit > most:
        raise BadInput(
            f"limit must be at most {most} for a picture of {size_hw[1]}×{size_hw[0]}", f"{limit}",
            "Send a smaller picture, or ask for fewer.",
        )  # fmt: skip
    with hosts.job("ToonOut"):
        found = characters.find(picture, detector, options, min_score=min_score, limit=limit)
    return {
        "instances": [_instance(found, index) for index in range(len(found))],
        "background": base64.b64encode(png(found.background())).decode(),
        "overlay": base64.b64encode(png(found.overlay())).decode(),
        "info": {"detector": detector, "model": options.model, "origin": found.instances.origin},
    }


def _without_none(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


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


def _plain_answer(work: Callable[[], Json]) -> Callable[[], Json]:
    """A route without a body."""

    def answer() -> Json:
        return _guarded(work)

    answer.__name__, answer.__doc__ = work.__name__, work.__doc__
    return answer


@_plain_answer
def health() -> Json:
    """Whether ToonOut is ready, and where it computes."""
    return {
        "ok": True,
        "version": __version__,
        "host": hosts.name(),
        "device": str(WebUIHost().device()),
        "loaded": PIPELINES.names(),
    }


@_plain_answer
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


@_plain_answer
def unload() -> Json:
    """Forget loaded models and give their memory back."""
    with hosts.job("ToonOut"):
        return {"unloaded": PIPELINES.unload()}


# ---------------------------------------------------------------- bodies


def _cut(body: Json) -> Cut:
    require_known(body, (*PICTURES, *OPTIONS))
    if "image" not in body:
        raise BadInput("image must be there", "no image", "Send it as base64.")
    values = {name: value for name, value in body.items() if name not in PICTURES}
    if body.get("background_image") is not None:
        values.setdefault("background", "picture")
    options = wish(values)
    picture, _ = decoded(body["image"], "image")
    background = None
    if body.get("background_image") is not None:
        background, _ = decoded(body["background_image"], "background_image")
    with hosts.job("ToonOut"):
        return cut(picture, options, background)


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
