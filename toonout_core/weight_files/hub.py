"""Ask the Hugging Face hub for a file, through its own client.

The client does the talking, so that HF_ENDPOINT, HF_HUB_OFFLINE, proxies and tokens work as users
know them. Its `hf_hub_download` alone is not enough: from 1.x on it deletes what it has when a
connection breaks, it cannot report progress, and it cannot be stopped. So its parts are called:
`hf_hub_url` and `get_hf_file_metadata` (public) and `http_get`, only with arguments that exist from
0.26 to 2.4. Where the parts are gone, a sentence says so.

What a server says is not trusted: a size must be a size and a sha256 a sha256, none of it becomes
part of a path, and no more is written than the announced size.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..errors import DownloadFailed
from ..weights import Weights

_SHA256 = re.compile("[0-9a-f]{64}")
_RESTARTS = 2  # by a server that sends from the beginning where it was asked to continue
_UNPACKED = {"Accept-Encoding": "identity"}  # else a small answer could unpack to any size


class TooMuch(OSError):
    """The server sends more than it announced."""


class NoEnd(OSError):
    """The server starts over again and again instead of continuing."""


@dataclass(frozen=True)
class Offer:
    """What the server says about a file. Empty or 0 means that it does not say it."""

    url: str
    sha256: str
    size: int


class Sink:
    """The file that the client writes to. Once it is closed, a thread that is left over cannot
    write.

    It never gets longer than `limit` bytes, and is begun again only a few times.
    """

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = limit
        self._restarts = 0
        self._lock = threading.Lock()
        self.size = file.tell()

    def write(self, data: bytes) -> int:
        with self._lock:
            if self.size + len(data) > self._limit:
                raise TooMuch(f"more than the announced {self._limit} bytes came")
            count = self._file.write(data)
            self._file.flush()
            self.size += count
            return count

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        with self._lock:
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise NoEnd("it starts over again and again instead of continuing")
            self.size = self._file.truncate(size)
            return self.size

    def close(self) -> None:
        with self._lock:
            self._file.close()


def ask(row: Weights) -> Offer:
    """Send one HEAD request. The etag of a large file on the hub is its sha256."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(row.repo, row.file, revision=row.revision)
    remote = get_hf_file_metadata(url)
    etag = str(remote.etag or "")
    return Offer(url, etag if _SHA256.fullmatch(etag) else "", max(0, int(remote.size or 0)))


def fetch(offer: Offer, sink: Sink) -> None:
    """Append to `sink` what is missing in it."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    http_get(
        offer.url,
        cast("Any", sink),
        resume_size=sink.size,
        headers={**build_hf_headers(), **_UNPACKED},
        expected_size=offer.size,
    )


def cached(row: Weights) -> Path | None:
    """Find the file in the client's own cache, where other programs may have put it, without the
    network.
    """
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    for revision in (row.revision, "main"):
        path = try_to_load_from_cache(row.repo, row.file, revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


@contextmanager
def quiet_client() -> Iterator[None]:
    """Switch the client's own progress bar off, as the host shows ours."""
    group = "huggingface_hub.http_get"
    try:
        from huggingface_hub.utils import (
            are_progress_bars_disabled,
            disable_progress_bars,
            enable_progress_bars,
        )
    except ImportError as error:
        raise DownloadFailed(
            "Downloads need the package huggingface-hub. Install it, or fetch the file by hand."
        ) from error
    if are_progress_bars_disabled(group):
        yield
        return
    disable_progress_bars(group)
    try:
        yield
    finally:
        enable_progress_bars(group)
