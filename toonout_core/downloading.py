"""A published file from the Hugging Face hub into the host's first folder: verified or not at all.

The hub's own client does the talking, so HF_ENDPOINT, HF_HUB_OFFLINE, proxies and tokens work as
its users know them. `hf_hub_download` alone is not enough: from 1.x on it deletes what it has when
a connection breaks, and it reports no progress and cannot be stopped. So its parts are called:
`hf_hub_url` and `get_hf_file_metadata` (public) and `http_get`, with nothing but arguments that
exist from 0.26 to 2.4; where `http_get` is gone `hf_hub_download` is the way.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from .errors import CorruptWeights, DownloadFailed
from .fingerprints import Fingerprints
from .host import Host, Step
from .locating import find_file, source_of
from .locking import locked
from .weights import Weights

log = logging.getLogger("toonout")

_T = TypeVar("_T")
_MB = 1_000_000
_POLL_SECONDS = 0.1
_SHA256_DIGITS = 64


def download(row: Weights, host: Host) -> Path:
    """Fetch, verify and keep the file of `row`; an unfinished download is continued.

    The host's `step` may raise: nothing that could be loaded is left, only what continues later.
    Processes that want the same file take turns, and the later ones find it.
    """
    folder = host.weight_dirs()[0]
    fingerprints = Fingerprints(host)
    _make_folder(fingerprints.folder, row)
    with (
        host.progress(max(1, row.size_bytes // _MB), f"downloading {row.name} (MB)") as step,
        locked(fingerprints.folder / f"{row.name}.lock", lambda: step(0)),
    ):
        found = find_file(row, host)
        if found is not None:
            return found
        return _Download(row, folder, fingerprints, step).run()


class _Download:
    def __init__(self, row: Weights, folder: Path, fingerprints: Fingerprints, step: Step) -> None:
        self.row = row
        self.folder = folder
        self.fingerprints = fingerprints
        self.step = step
        self.reported_mb = 0

    def run(self) -> Path:
        url, sha256, size = self._ask()
        partial = self.fingerprints.folder / f"{self.row.name}.{sha256[:16]}.partial"
        resumed = self._resumable(partial, size)
        self._transfer(url, partial, size)
        got = self.fingerprints.of(partial, again=True).sha256
        if got != sha256:
            partial.unlink()
            if resumed:
                log.warning("%s did not continue well: starting over", self.row.name)
                return self.run()
            raise CorruptWeights(
                f"The download of {self.row.file} from {self.row.repo} must have the sha256 "
                f"{sha256}, but has {got}, and was deleted. Try again later; if it stays so, the "
                "file was replaced there."
            )
        target = _free_name(self.folder, self.row)
        partial.replace(target)
        self.fingerprints.remember(target, sha256, source_of(self.row))
        log.info("%s: downloaded to %s", self.row.name, target)
        return target

    def _ask(self) -> tuple[str, str, int]:
        """Address, sha256 and size of the file, as the hub reports them."""

        def ask() -> tuple[str, Any]:
            from huggingface_hub import get_hf_file_metadata, hf_hub_url

            url = hf_hub_url(self.row.repo, self.row.file, revision=self.row.revision)
            return url, get_hf_file_metadata(url)

        url, remote = self._run(ask)
        etag = str(remote.etag or "")
        reported = etag if len(etag) == _SHA256_DIGITS else ""
        wanted = self.row.sha256 or reported
        if not wanted or not remote.size:
            raise DownloadFailed(
                f"The server must tell size and sha256 of {self.row.file}, but tells "
                f"{remote.size} and {etag!r}. {_by_hand(self.row, self.folder)}"
            )
        if reported and reported != wanted:
            raise CorruptWeights(
                f"{self.row.file} at {self.row.repo} must have the sha256 {wanted}, but the "
                f"server offers {reported}. Nothing was downloaded."
            )
        return url, wanted, int(remote.size)

    def _resumable(self, partial: Path, size: int) -> bool:
        have = partial.stat().st_size if partial.exists() else 0
        if have > size:
            partial.unlink()
            have = 0
        free = shutil.disk_usage(self.folder).free
        if free < size - have:
            raise DownloadFailed(
                f"{self.folder} must have {(size - have) / _MB:.0f} MB free for {self.row.name}, "
                f"but has {free / _MB:.0f} MB. Make room, or choose another folder."
            )
        return have > 0

    def _transfer(self, url: str, partial: Path, size: int) -> None:
        """Until all is there; goes on after a break as long as each attempt brings something."""
        while True:
            before = partial.stat().st_size if partial.exists() else 0
            if before == size:
                return
            try:
                self._continue(url, partial, size)
            except DownloadFailed as error:
                if not before < partial.stat().st_size < size:
                    raise
                log.info("%s: %s; continuing", self.row.name, error.__cause__)
                continue
            if partial.stat().st_size != size:
                raise DownloadFailed(
                    f"{self.row.file} must have {size} bytes, but {partial.stat().st_size} came. "
                    "Start again: it continues where it stopped."
                )

    def _continue(self, url: str, partial: Path, size: int) -> None:
        with partial.open("ab") as file:
            sink = _Sink(file)
            try:
                self._run(lambda: _fetch(url, sink, size, self.row, partial), sink)
            finally:
                sink.close()

    def _run(self, work: Callable[[], _T], sink: _Sink | None = None) -> _T:
        """`work` in a thread, so that the host can show and stop it meanwhile."""
        outcome: Future[_T] = Future()

        def target() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # carried over to the waiting thread, all of it
                outcome.set_exception(error)

        with _quiet_client():
            threading.Thread(target=target, name="toonout-download", daemon=True).start()
            while not outcome.done():
                wait([outcome], _POLL_SECONDS)
                self._report(sink.size if sink else 0)
        error = outcome.exception()
        if error is not None:
            raise DownloadFailed(_failure(self.row, self.folder, error)) from error
        return outcome.result()

    def _report(self, size: int) -> None:
        now_mb = max(size // _MB, self.reported_mb)
        self.step(now_mb - self.reported_mb)
        self.reported_mb = now_mb


class _Sink:
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


def _fetch(url: str, sink: _Sink, size: int, row: Weights, partial: Path) -> None:
    try:
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers
    except ImportError:
        sink.close()
        _fetch_whole(row, partial)
        return
    http_get(
        url,
        cast("Any", sink),
        resume_size=sink.size,
        headers=build_hf_headers(),
        expected_size=size,
    )


def _fetch_whole(row: Weights, partial: Path) -> None:
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        repo_id=row.repo,
        filename=row.file,
        revision=row.revision,
        local_dir=partial.with_suffix(".hub"),
    )
    os.replace(path, partial)


@contextmanager
def _quiet_client() -> Iterator[None]:
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


def refuse(row: Weights, host: Host) -> DownloadFailed:
    """What to say where downloads are forbidden: file, folders searched, link."""
    folders = ", ".join(map(str, host.weight_dirs()))
    return DownloadFailed(
        f"{row.name} must be in one of the folders {folders}, but is not, and downloads are "
        f"switched off. {_by_hand(row, host.weight_dirs()[0])}"
    )


def _failure(row: Weights, folder: Path, error: BaseException) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{row.file} could not be downloaded from {row.repo} ({type(error).__name__}: {reason}). "
        f"Start again to continue. {_by_hand(row, folder)}"
    )


def _by_hand(row: Weights, folder: Path) -> str:
    return f"By hand: download {row.url} and put it into {folder}, under any name."


def _make_folder(folder: Path, row: Weights) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadFailed(
            f"{folder.parent} must be writable to keep {row.name}, but is not ({error})."
        ) from error


def _free_name(folder: Path, row: Weights) -> Path:
    """The row's name; with a number where some other file has it already."""
    suffix = Path(row.file).suffix
    path, number = folder / f"{row.name}{suffix}", 2
    while path.exists():
        path, number = folder / f"{row.name}-{number}{suffix}", number + 1
    return path
