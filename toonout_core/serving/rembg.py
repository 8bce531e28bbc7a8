"""`/api/remove` with the parameters of rembg's server, so that its clients need a new address only.

What a parameter means here stands in `options.rembg`. Answers are PNG files; what is worth knowing
about one is in its header `X-ToonOut-Notes`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from ..errors import BadInput, ToonOutError, plain
from ..imaging import from_levels
from ..ops.compositing import over_translucent
from ..options import rembg as table
from .admission import dependencies, limited_route
from .bodies import Json, bounded, described, parsed
from .cutting import Cut, cut, cutout_png, png, wish
from .fetching import fetch
from .options import CutoutOptions
from .pipelines import Pipelines
from .routes import guarded, refusal

log = logging.getLogger("toonout")

PATH = "/api/remove"
_YES, _NO = {"1", "on", "yes", "y", "t"}, {"0", "off", "no", "n", "f"}
_OPTIONS = {option.name: option for option in table.REMBG}
_CURL = "With curl: -F file=@girl.png."
_MOST_FIELDS = 2 * len(table.REMBG)

Rgba = tuple[int, int, int, int]


@dataclass(frozen=True)
class Wanted:
    """What a request asks for, in our own words. `behind`: red, green, blue and alpha."""

    options: CutoutOptions
    behind: Rgba | None
    notes: tuple[str, ...] = ()


def make_rembg_router(pipelines: Pipelines, *, urls: bool) -> APIRouter:
    """GET with an address, where `urls` allows it, and POST with a file."""
    program = pipelines.program
    router = APIRouter(
        tags=["as rembg"], route_class=limited_route(program),
        dependencies=dependencies(program.credentials()),
    )  # fmt: skip
    routes = _Rembg(pipelines, urls)
    add = router.add_api_route
    add(PATH, routes.of_url, methods=["GET"], summary="Cut out what lies at an address",
        response_class=Response, openapi_extra={"parameters": _parameters()})  # fmt: skip
    add(PATH, routes.of_file, methods=["POST"], summary="Cut out a file that is sent",
        response_class=Response, openapi_extra=_form())  # fmt: skip
    return router


class _Rembg:
    def __init__(self, pipelines: Pipelines, urls: bool) -> None:
        self.pipelines, self.urls = pipelines, urls

    async def of_url(self, request: Request) -> Response:
        """Only public addresses: nothing of this machine or of a private network is fetched."""
        values = dict(request.query_params)
        url = values.pop("url", "")
        try:
            if not self.urls:
                raise HTTPException(403, "This server fetches nothing (--no-url). Send the file.")
            if not url:
                raise BadInput("url must be there", "none", "Or send a file with POST.")
            wanted = asked(values, self.pipelines.default_model())
            most = self.pipelines.program.settings().megabytes * 1_000_000
            content = await fetch(url, most)
        except ToonOutError as error:
            raise refusal(error) from error
        return await run_in_threadpool(self._answer, content, wanted)

    async def of_file(self, request: Request) -> Response:
        """A form with `file`; the other parameters in the form or in the address."""
        kind = request.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            raise refusal(BadInput("file must be a file of a form", plain(kind) or "none", _CURL))
        async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
            file = form.get("file")
            sent = {name: value for name, value in form.items() if isinstance(value, str)}
            values = {**request.query_params, **sent}
            try:
                if not isinstance(file, UploadFile):
                    raise BadInput("file must be a file of a form", "none", _CURL)
                wanted = asked(values, self.pipelines.default_model())
            except ToonOutError as error:
                raise refusal(error) from error
            content = await file.read()
        return await run_in_threadpool(self._answer, content, wanted)

    def _answer(self, content: bytes, wanted: Wanted) -> Response:
        return guarded(lambda: self._cut(content, wanted))

    def _cut(self, content: bytes, wanted: Wanted) -> Response:
        program = self.pipelines.program
        stream, _ = bounded(content, "the picture", program.settings())
        with program.job():
            result = cut(self.pipelines, stream, wanted.options)
        notes = "; ".join((f"model: {result.options.model}", *wanted.notes, *result.notes))
        headers = {"X-ToonOut-Notes": plain(notes).encode("ascii", "replace").decode()}
        return Response(_file(result, wanted), media_type="image/png", headers=headers)


def asked(values: Mapping[str, Any], default_model: str) -> Wanted:
    """Parameters of rembg → what is wanted. Raises BadInput for what is unknown or out of range."""
    if unknown := sorted(set(values) - set(_OPTIONS)):
        known = ", ".join(_OPTIONS)
        raise BadInput(f"a parameter must be one of {known}", plain(", ".join(unknown)))
    given = {name: option.default for name, option in _OPTIONS.items()}
    given |= {name: _OPTIONS[name].check(_plain(name, values[name])) for name in values}
    notes = ["alpha matting is not needed here: the matte is soft"] if given["a"] else []
    options: Json = {"output": "mask"} if given["om"] else {}
    if given["ppm"]:
        options["drop_specks_px"] = table.SPECK_AREA
    name = given["model"]
    model = table.MODELS.get(name, name)
    if name and not model:
        notes.append(f"{name} is none of our models")
        log.info("model=%s is none of our models: %s is used", plain(name), default_model)
    if given["extras"]:
        options |= parsed(given["extras"].encode("utf-8", "replace"))
    options.setdefault("model", model)
    behind = parse_rgba(given["bgc"]) if given["bgc"] and not given["om"] else None
    return Wanted(wish(options, default_model), behind, tuple(notes))


def parse_rgba(text: str) -> Rgba:
    """Read "255,128,0,255", or the same as a JSON list, as four levels. Raises BadInput."""
    parts = text.strip().strip("[]()").replace(",", " ").split()
    if len(parts) == 4 and all(p.isascii() and p.isdigit() and int(p) <= 255 for p in parts):
        return cast("Rgba", tuple(map(int, parts)))
    raise BadInput("bgc must be four numbers from 0 to 255, as 255,255,255,255", plain(repr(text)))


def _plain(name: str, value: Any) -> Any:
    """Switches in all the ways in which rembg's server reads them."""
    if _OPTIONS[name].kind != "switch" or not isinstance(value, str):
        return value
    word = value.strip().lower()
    return "true" if word in _YES else "false" if word in _NO else word


def _file(result: Cut, wanted: Wanted) -> bytes:
    if result.options.output == "mask":
        return png(result.matte.alpha)
    if wanted.behind is None:
        return cutout_png(result)
    *colour, opacity = wanted.behind
    levels = from_levels(result.matte.alpha.new_tensor([*colour, opacity]).view(1, 4, 1, 1))
    image, alpha = over_translucent(
        result.matte.colours, result.matte.alpha, levels.narrow(1, 0, 3), levels.narrow(1, 3, 1)
    )
    return png(image, None if opacity == 255 else alpha)


def _parameters() -> list[Json]:
    url = {"type": "string", "description": "The address of a picture on the public internet."}
    entries = {"url": url} | {name: described(option) for name, option in _OPTIONS.items()}
    return [
        {"name": name, "in": "query", "required": name == "url", "schema": entry}
        for name, entry in entries.items()
    ]


def _form() -> Json:
    file = {"type": "string", "format": "binary", "description": "The picture."}
    entries = {"file": file} | {name: described(option) for name, option in _OPTIONS.items()}
    schema = {"type": "object", "required": ["file"], "properties": entries}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}
