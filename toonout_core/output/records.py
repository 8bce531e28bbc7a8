"""Read and check one line of a manifest: the file is data, and may say anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

RecordStatus = Literal["begun", "done", "failed"]


@dataclass(frozen=True)
class Record:
    """What was done of one picture.

    `outputs`: POSIX paths relative to the folder; `contents`: size and hash of each, see
    `content_of`; `settings`: see `settings_hash`; `details`: what a run says of each frame beside
    its files, as JSON; `replaces`: the results of the record before, which are removed as soon as
    these are there.
    """

    source: str
    size: int
    mtime_ns: int
    settings: str
    status: RecordStatus
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    message: str = ""
    details: tuple[dict[str, Any], ...] = ()
    contents: tuple[str, ...] = ()
    replaces: bool = False


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Hash settings to 16 hex digits, equal for equal values, whatever their order."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_of(path: Path) -> str:
    """Return size and SHA-256 of a file, as `1234:9f86d0…`. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        return f"{file.tell()}:{digest.hexdigest()}"


def parse_record(values: Any) -> Record:
    """Read a record. Raises ValueError for what is none, or names a file outside of the folder."""
    if not isinstance(values, dict) or not all(
        _fits(name, value) for name, value in values.items()
    ):
        raise ValueError("no record")
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in _FIELDS
    }
    try:
        return Record(**known)
    except TypeError as error:  # a field is missing
        raise ValueError(str(error)) from error


def _fits(name: str, value: Any) -> bool:
    if name not in _FIELDS:  # of a later release
        return True
    kinds, items = _FIELDS[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        return False
    if name == "status":
        return value in get_args(RecordStatus)
    if items is None or not isinstance(value, list):
        return True
    return all(isinstance(item, items) for item in value) and (
        name != "outputs" or all(map(_is_inside, value))
    )


# what each field must be in JSON, and the items of a list
_FIELDS: dict[str, tuple[Any, Any]] = {
    "source": (str, None),
    "size": (int, None),
    "mtime_ns": (int, None),
    "settings": (str, None),
    "status": (str, None),
    "outputs": (list, str),
    "seconds": ((int, float), None),
    "message": (str, None),
    "details": (list, dict),
    "contents": (list, str),
    "replaces": (bool, None),
}


def _is_inside(name: str) -> bool:
    """Tell whether a path that is relative to a folder stays below it."""
    path = PurePath(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts and "\0" not in name


def relative_names(paths: Sequence[Path], folder: Path) -> tuple[str, ...]:
    """Spell paths as records hold them."""
    return tuple(path.relative_to(folder).as_posix() for path in paths)
