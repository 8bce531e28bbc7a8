"""What has been done already: one JSON line a picture, in the folder of the results."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

log = logging.getLogger("toonout")

FILE_NAME = ".toonout.jsonl"


@dataclass(frozen=True)
class Record:
    """`outputs`: POSIX paths relative to the folder; `settings`: see `settings_hash`; `details`:
    what a run says of each frame beside its files, as JSON."""

    source: str
    size: int
    mtime_ns: int
    settings: str
    status: Literal["done", "failed"]
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    message: str = ""
    details: tuple[dict[str, Any], ...] = ()


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Equal for equal values, whatever their order; 16 hex digits."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Manifest:
    """The records of one folder; a line that a crash has cut short counts for nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._last: dict[str, Record] = {}
        self._outputs: set[str] = set()
        for record in self._read():
            self._keep(record)

    def _read(self) -> list[Record]:
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        records: list[Record] = []
        for number, line in enumerate(lines, 1):
            try:
                values = json.loads(line)
                listed = {name: tuple(values.get(name, ())) for name in ("outputs", "details")}
                records.append(Record(**values | listed))
            except (ValueError, TypeError, KeyError):
                log.warning("%s: line %d is damaged and left out", self.path, number)
        return records

    def _keep(self, record: Record) -> None:
        self._last[record.source] = record
        self._outputs.update(record.outputs)

    def outputs(self) -> set[Path]:
        """Every result of every run, absolute."""
        folder = Path(os.path.abspath(self.folder))
        return {folder / output for output in self._outputs}

    def last(self, source: Path) -> Record | None:
        """The newest record of that picture."""
        return self._last.get(str(source))

    def finished(self, source: Path, settings: str) -> Record | None:
        """The record of a picture that need not be done again: same file, same settings, and all
        its results still there."""
        record = self.last(source)
        if record is None or record.status != "done" or record.settings != settings:
            return None
        state = source.stat()
        if (record.size, record.mtime_ns) != (state.st_size, state.st_mtime_ns):
            return None
        there = all((self.folder / output).is_file() for output in record.outputs)
        return record if there and (record.outputs or record.details) else None

    def append(self, record: Record) -> None:
        """Written through to the disk's cache at once, so that a crash loses nothing finished."""
        self._keep(record)
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(record)) + "\n"
        with self.path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())
