"""What a request is made of: checked, and bounded before anything of it takes much memory."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterable
from typing import Any, cast

from ..errors import BadInput, plain
from ..imaging import size_hw_of
from ..options.characters import MAX_COUNT, MIN_SCORE
from ..options.models import DETECTOR
from ..options.option import Option
from . import characters
from .admission import require_pixels, require_size
from .options import OPTIONS
from .program import Settings

Json = dict[str, Any]

PICTURES = ("image", "background_image")
WHITE = b" \t\r\n\v\f"  # what base64 may be broken into lines with
LIMIT = MAX_COUNT.but(name="limit")
INSTANCE_OPTIONS = (DETECTOR.name, MIN_SCORE.name, LIMIT.name)
# of CutoutOptions, for characters
FOUND_OPTIONS = (
    "clean_colours", "radius_px", "refine_radius_px", "foreground_method", "precision",
    "patch_order", "allow_download", "fast",
)  # fmt: skip

MASK_PIXELS = 400_000_000  # of all masks of a picture together, 4 bytes each
_MOST_MASKS = 100
# signs of a body that would need many times its size once it is parsed: ours are flat
_SIGNS = (b",", b":", b"[", b"{")
_MOST_SIGNS = 10_000


def most_masks(size_hw: tuple[int, int]) -> int:
    """How many masks of a picture may be held at a time."""
    return max(1, min(_MOST_MASKS, MASK_PIXELS // (size_hw[0] * size_hw[1])))


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object that a request is. Raises BadInput."""
    expected = "a request must be one JSON object of plain values"
    if any(body.count(sign) > _MOST_SIGNS for sign in _SIGNS):
        raise BadInput(expected, "lists or more values than there are options")
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput(expected, plain(error) or "something else") from error
    if not isinstance(value, dict):
        raise BadInput(expected, f"a {type(value).__name__}")
    return cast("dict[str, Any]", value)


def decoded(text: Any, name: str, limits: Settings) -> tuple[io.BytesIO, tuple[int, int]]:
    """Base64, or a data URI of it → a file of a picture and its size; its pixels are not decoded.

    Raises BadInput, and 413 for what is too large.
    """
    if not isinstance(text, str):
        raise BadInput(f"{name} must be a text of base64", type(text).__name__)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    require_size(len(text), limits)
    try:
        content = base64.b64decode(text.encode("ascii").translate(None, WHITE), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        raise BadInput(
            f"{name} must be a picture as base64 or as a data URI", "something else",
            "Paths and URLs are not accepted.",
        )  # fmt: skip
    return bounded(content, name, limits)


def bounded(content: bytes, name: str, limits: Settings) -> tuple[io.BytesIO, tuple[int, int]]:
    """The bytes of a picture's file → a stream and its size. Raises as `decoded`."""
    stream = io.BytesIO(content)
    size_hw = size_hw_of(stream)
    require_pixels(size_hw, name, limits)
    stream.seek(0)
    return stream, size_hw


def require_known(body: Json, known: Iterable[str]) -> None:
    """BadInput for what no request has."""
    if unknown := sorted(set(body) - set(known)):
        raise BadInput(f"a request must only have {', '.join(sorted(known))}", ", ".join(unknown))


def body_schema(names: list[str]) -> Json:
    """What /docs shows. A plain description: hosts have pydantic 1 or 2."""
    pictures: Json = {
        name: {"type": "string", "description": "base64 or data URI"} for name in PICTURES
    }
    detectors = {"detector": {**described(DETECTOR), "enum": characters.detector_names()}}
    options = {o.name: described(o) for o in (MIN_SCORE, LIMIT, *OPTIONS.values())}
    known = pictures | detectors | options
    shown = {name: entry for name, entry in known.items() if name in names}
    schema = {"type": "object", "required": ["image"], "properties": shown}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def described(option: Option) -> Json:
    """What OpenAPI says of an option."""
    kinds = {"switch": "boolean", "whole": "integer", "number": "number"}
    entry: Json = {"type": kinds.get(option.kind, "string"), "description": option.help}
    entry["default"] = option.default
    if option.choices:
        entry["enum"] = list(option.choices)
    if option.kind in ("whole", "number"):
        entry |= {"minimum": option.least, "maximum": option.most}
    return entry
