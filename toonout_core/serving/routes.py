"""JSON routes: pictures go in and out as base64. No route takes a path or a URL of anything."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from .. import __version__
from ..errors import (
    BadInput,
    Cancelled,
    CorruptWeights,
    DownloadFailed,
    ToonOutError,
    UnknownModel,
    plain,
)
from ..host import is_out_of_memory
from ..options.characters import MIN_SCORE
from ..weight_files.locating import find_file
from ..weights import WEIGHTS
from . import characters
from .admission import dependencies, limited_route
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
from .options import OPTIONS

log = logging.getLogger("toonout")

Answer = TypeVar("Answer")

PREFIX = "/toonout/v1"


def make_router(detectors: characters.Detectors, *, works: bool = True) -> APIRouter:
    """The routes under /toonout/v1. Without `works` only /health."""
    program = detectors.pipelines.program
    router = APIRouter(
        prefix=PREFIX, tags=["ToonOut"], route_class=limited_route(program),
        dependencies=dependencies(program.credentials()),
    )  # fmt: skip
    work = Routes(detectors)
    add = router.add_api_route
    add("/health", plain_answer(work.health), methods=["GET"], summary="Whether ToonOut is ready")
    if not works:
        return router
    add("/models", plain_answer(work.models), methods=["GET"],
        summary="Models and whether they are here")  # fmt: skip
    add("/unload", plain_answer(work.unload), methods=["POST"], summary="Forget loaded models")
    every = list(OPTIONS)
    for path, answer, summary, names in (
        ("/cutout", work.cutout, "Cut a character out", [*PICTURES, *every]),
        ("/mask", work.mask, "The mask alone, white is the character", [*PICTURES, *every]),
        ("/instances", work.instances, "Every character by itself",
         ["image", *INSTANCE_OPTIONS, "model", *FOUND_OPTIONS]),
    ):  # fmt: skip
        add(path, _answering(answer), methods=["POST"], summary=summary,
            openapi_extra=body_schema(names))  # fmt: skip
    return router


# ---------------------------------------------------------------- routes


def _answering(work: Callable[[Json], Json]) -> Callable[[Request], Awaitable[Json]]:
    """A route with a body: `work` runs in a thread."""

    async def answer(request: Request) -> Json:
        body = await request.body()
        return await run_in_threadpool(guarded, lambda: work(parsed(body)))

    answer.__name__, answer.__doc__ = work.__name__, work.__doc__
    return answer


def guarded(work: Callable[[], Answer]) -> Answer:
    """Errors as sentences with a fitting status; nothing that a client sends is a 500."""
    try:
        return work()
    except HTTPException:
        raise
    except Exception as error:
        if not isinstance(error, ToonOutError):
            log.exception("a request failed")
        raise refusal(error) from error


def refusal(error: Exception) -> HTTPException:
    """What a client is told about an error."""
    status = _status(error)
    return HTTPException(status, _sentence(error, status))


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


def plain_answer(work: Callable[[], Json]) -> Callable[[], Json]:
    """A route without a body."""

    def answer() -> Json:
        return guarded(work)

    answer.__name__, answer.__doc__ = work.__name__, work.__doc__
    return answer


class Routes:
    """What the routes do: JSON in, JSON out. Raises ToonOutError and HTTPException."""

    def __init__(self, detectors: characters.Detectors) -> None:
        self.detectors, self.pipelines = detectors, detectors.pipelines
        self.program = detectors.pipelines.program

    def cutout(self, body: Json) -> Json:
        """Cut the character out: PNG with alpha, the mask, or both, as `output` says."""
        result = self._cut(body)
        files = {
            "cutout": [cutout_png(result)],
            "mask": [png(result.matte.alpha)],
            "cutout + mask": [cutout_png(result), png(result.matte.alpha)],
        }[result.options.output]
        return _reply(result, files)

    def mask(self, body: Json) -> Json:
        """The mask alone: grey PNG, white is the character."""
        result = self._cut({**body, "output": "mask"})
        return _reply(result, [png(result.matte.alpha)])

    def instances(self, body: Json) -> Json:
        """Every character by itself: score, box, cutout and mask; a mask of what belongs to none of
        them, and a numbered overlay."""
        others = dict(body)
        asked = {name: others.pop(name, None) for name in INSTANCE_OPTIONS}
        require_known(others, (*PICTURES[:1], "model", *FOUND_OPTIONS))
        if "image" not in others:
            raise BadInput("image must be there", "no image", "Send it as base64.")
        wanted = {name: value for name, value in others.items() if name != "image"}
        options = wish(wanted, self.pipelines.default_model())
        picture, size_hw = decoded(others["image"], "image", self.program.settings())
        detector = characters.DEFAULT_DETECTOR if asked["detector"] is None else asked["detector"]
        given = {"min_score": MIN_SCORE.default, "limit": 0} | _without_none(asked)
        min_score, limit = MIN_SCORE.check(given["min_score"]), LIMIT.check(given["limit"])
        most = most_masks(size_hw)
        limit = limit or most
        if limit > most:
            raise BadInput(
                f"limit must be at most {most} for a picture of {size_hw[1]}×{size_hw[0]}",
                f"{limit}",
                "Send a smaller picture, or ask for fewer.",
            )  # fmt: skip
        with self.program.job():
            found = self.detectors.find(
                picture, detector, options, min_score=min_score, limit=limit
            )
        return {
            "instances": [_instance(found, index) for index in range(len(found))],
            "background": base64.b64encode(png(found.background())).decode(),
            "overlay": base64.b64encode(png(found.overlay())).decode(),
            "info": {
                "detector": detector,
                "model": options.model,
                "origin": found.instances.origin,
            },
        }

    def health(self) -> Json:
        """Whether ToonOut is ready, and where it computes."""
        return {
            "ok": True,
            "version": __version__,
            "host": self.program.name(),
            "device": str(self.program.device()),
            "loaded": self.pipelines.names(),
        }

    def models(self) -> Json:
        """What `model` may be. `here`: no download is needed."""
        host = self.program.host()
        table = {row.name: row for row in WEIGHTS}
        return {
            "default": self.pipelines.default_model(),
            "models": [
                {
                    "name": name,
                    "purpose": table[name].purpose if name in table else "a file of yours",
                    "licence": table[name].licence if name in table else "unknown",
                    "here": name not in table or find_file(table[name], host) is not None,
                }
                for name in self.pipelines.model_names()
            ],
        }

    def unload(self) -> Json:
        """Forget loaded models and give their memory back."""
        with self.program.job():
            return {"unloaded": self.pipelines.unload()}

    def _cut(self, body: Json) -> Cut:
        require_known(body, (*PICTURES, *OPTIONS))
        if "image" not in body:
            raise BadInput("image must be there", "no image", "Send it as base64.")
        values = {name: value for name, value in body.items() if name not in PICTURES}
        if body.get("background_image") is not None:
            values.setdefault("background", "picture")
        options = wish(values, self.pipelines.default_model())
        limits = self.program.settings()
        picture, _ = decoded(body["image"], "image", limits)
        background = None
        if body.get("background_image") is not None:
            background, _ = decoded(body["background_image"], "background_image", limits)
        with self.program.job():
            return cut(self.pipelines, picture, options, background)


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
