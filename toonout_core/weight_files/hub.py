"""The Hugging Face hub, through its own client: what a file is, and its bytes.

The client does the talking, so HF_ENDPOINT, HF_HUB_OFFLINE, proxies and tokens work as its users
know them. `hf_hub_download` alone is not enough: from 1.x on it deletes what it has when a
connection breaks, and it can neither report progress nor be stopped. So its parts are called:
`hf_hub_url` and `get_hf_file_metadata` (public) and `http_get`, with nothing but arguments that
exist from 0.26 to 2.4; where the parts are gone `hf_hub_download` is the way.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..errors import DownloadFailed
from ..weights import Weights

_SHA256_DIGITS = 64


@dataclass(frozen=True)
class Offer:
    """What the server says about a file. Empty or 0: it does not say."""

    url: str
    sha256: str
    size: int


class Sink:
    """The file that the client writes to; once closed, a thread that is left over cannot."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.size = file.tell()

    def write(self, data: bytes) -> int:
        with self._lock:
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
            self.size = self._file.truncate(size)
            return self.size

    def close(self) -> None:
        with self._lock:
            self._file.close()


def ask(row: Weights) -> Offer:
    """One HEAD request. The etag of a large file on the hub is its sha256."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(row.repo, row.file, revision=row.revision)
    remote = get_hf_file_metadata(url)
    etag = str(remote.etag or "")
    return Offer(url, etag if len(etag) == _SHA256_DIGITS else "", int(remote.size or 0))


def fetch(row: Weights, offer: Offer, sink: Sink, path: Path) -> None:
    """Append to `sink`, which writes to `path`, what is missing in it."""
    try:
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers
    except ImportError:
        sink.close()
        _fetch_whole(row, path)
        return
    http_get(
        offer.url,
        cast("Any", sink),
        resume_size=sink.size,
        headers=build_hf_headers(),
        expected_size=offer.size,
    )


def cached(row: Weights) -> Path | None:
    """The file in the client's own cache, where other programs may have put it; no network."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    for revision in (row.revision, "main"):
        path = try_to_load_from_cache(row.repo, row.file, revision=revision)
        if isinstance(path, str):
            return Path(path)
    return None


def _fetch_whole(row: Weights, path: Path) -> None:
    from huggingface_hub import hf_hub_download

    folder = path.with_suffix(".hub")
    whole = hf_hub_download(
        repo_id=row.repo, filename=row.file, revision=row.revision, local_dir=folder
    )
    os.replace(whole, path)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def quiet_client() -> Iterator[None]:
    """The client's own progress bar off: the host shows ours."""
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
