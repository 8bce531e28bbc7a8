"""Compute the sha256 of a weight file once per size and time stamp, and keep it beside the
downloads.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..host import Host

log = logging.getLogger("toonout")

# in the first weight folder: records, unfinished downloads, locks
STATE_FOLDER = ".toonout"
_BLOCK = 1 << 22
_MB = 1_000_000
_COMPUTED: dict[tuple[str, int, int], str] = {}  # of this process, where no record can be kept


@dataclass(frozen=True)
class Fingerprint:
    """What is known about one file. `source` says where it was fetched from and compared with."""

    path: str
    sha256: str
    size: int
    mtime_ns: int
    source: str = ""

    def is_current(self, path: Path) -> bool:
        """Tell whether the file has the size and the time stamp of the record; its bytes are not
        read.
        """
        status = path.stat()
        return (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)


class Fingerprints:
    """The records of one host. A folder that cannot be written to keeps none, and work goes on."""

    def __init__(self, host: Host) -> None:
        self.host = host
        folders = host.weight_dirs()
        self.folder = folders[0] / STATE_FOLDER if folders else None

    def of(self, path: Path, *, again: bool = False) -> Fingerprint:
        """Return the record while the file looks unchanged, else (or with `again`) compute it from
        the bytes.
        """
        known = self.recall(path)
        if known is not None and not again and known.is_current(path):
            return known
        digest = self._digest(path, again)
        source = known.source if known is not None and known.sha256 == digest else ""
        if again and not source:
            return _fingerprint(path, digest, "")  # the record stays, to be compared with
        return self.remember(path, digest, source)

    def recall(self, path: Path) -> Fingerprint | None:
        """Return the record of `path`, whether the file has changed since or not."""
        record = self._record(path)
        if record is None:
            return None
        try:
            return Fingerprint(**json.loads(record.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def remember(self, path: Path, sha256: str, source: str = "") -> Fingerprint:
        """Keep and return a record. `sha256` must be what the bytes of `path` give now."""
        known = _fingerprint(path, sha256, source)
        record = self._record(path)
        if record is None:
            return known
        partial = record.with_name(f"{record.name}.{os.getpid()}.partial")
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(known), indent=1), "utf-8")
            partial.replace(record)
        except OSError as error:
            log.debug("no record of %s is kept: %s", path, error)
        return known

    def _record(self, path: Path) -> Path | None:
        if self.folder is None:
            return None
        place = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:12]
        return self.folder / f"{path.name}.{place}.json"

    def _digest(self, path: Path, again: bool) -> str:
        status = path.stat()
        key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
        if again or key not in _COMPUTED:
            _COMPUTED[key] = self._compute(path, status.st_size // _MB)
        return _COMPUTED[key]

    def _compute(self, path: Path, size_mb: int) -> str:
        digest, done_mb = hashlib.sha256(), 0
        with self.host.progress(size_mb, f"checking {path.name}") as step, path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                now_mb = min(file.tell() // _MB, size_mb)
                step(now_mb - done_mb)
                done_mb = now_mb
        return digest.hexdigest()


def _fingerprint(path: Path, sha256: str, source: str) -> Fingerprint:
    status = path.stat()
    return Fingerprint(str(path.absolute()), sha256, status.st_size, status.st_mtime_ns, source)
