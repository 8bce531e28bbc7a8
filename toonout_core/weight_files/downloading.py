"""Download a published file into the host's first folder. It arrives verified, or not at all."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

from ..errors import CorruptWeights, DownloadFailed, plain
from ..host import Host, Step
from ..locking import locked
from ..weights import Weights
from .fingerprints import STATE_FOLDER, Fingerprints
from .hub import NoEnd, Offer, Sink, TooMuch, ask, fetch, quiet_client
from .locating import find_file, fits_size, source_of, weight_files

log = logging.getLogger("toonout")

_T = TypeVar("_T")
_MB = 1_000_000
_POLL_SECONDS = 0.1


def download(row: Weights, host: Host) -> Path:
    """Fetch, verify and keep the file of `row`. An unfinished download is continued.

    The host's `step` may raise: then nothing is left that could be loaded, only what can be
    continued later. Processes that want the same file take turns, and the later ones find it.
    """
    folder = _first_folder(host)
    state = folder / STATE_FOLDER
    _make_folder(state, row)
    with (
        host.progress(max(1, row.size_bytes // _MB), f"downloading {row.name} (MB)") as step,
        locked(state / f"{row.name}.lock", lambda: step(0)),
    ):
        found = find_file(row, host)
        return (
            found if found is not None else _Download(row, folder, Fingerprints(host), step).run()
        )


def refuse(row: Weights, host: Host) -> DownloadFailed:
    """Make the error for where downloads are forbidden. It names the file, the folders and the
    link.
    """
    folders = ", ".join(map(str, host.weight_dirs()))
    return DownloadFailed(
        f"{row.name} must be in one of the folders {folders}, but is not, and downloads are "
        f"switched off. {_by_hand(row, _first_folder(host))}"
    )


class _Download:
    def __init__(self, row: Weights, folder: Path, fingerprints: Fingerprints, step: Step) -> None:
        self.row = row
        self.folder = folder
        self.fingerprints = fingerprints
        self.step = step
        self.reported_mb = 0

    def run(self) -> Path:
        offer = self._run(lambda: ask(self.row))
        sha256 = self._wanted(offer)
        here = self._find(sha256, offer.size)
        if here is not None:
            return self._keep(here, sha256)
        partial = self.folder / STATE_FOLDER / f"{self.row.name}.{sha256[:16]}.partial"
        continued = self._prepare(partial, offer.size) > 0
        self._transfer(offer, partial)
        got = self.fingerprints.of(partial, again=True).sha256
        if got != sha256:
            partial.unlink()
            if continued:
                log.warning("%s did not continue well: starting over", self.row.name)
                return self.run()
            raise CorruptWeights(
                f"The download of {self.row.file} from {self.row.repo} must have the sha256 "
                f"{sha256}, but has {got}, and was deleted. Try again later; if it stays so, the "
                "file was replaced there."
            )
        target = _free_name(self.folder, self.row)
        partial.replace(target)
        log.info("%s: downloaded to %s", self.row.name, target)
        return self._keep(target, sha256)

    def _find(self, sha256: str, size: int) -> Path | None:
        """Find a file that is here already, now that its sha256 is known."""
        for path in weight_files(self.fingerprints.host):
            if path.stat().st_size == size and self.fingerprints.of(path).sha256 == sha256:
                return path
        return None

    def _keep(self, path: Path, sha256: str) -> Path:
        self.fingerprints.remember(path, sha256, source_of(self.row))
        return path

    def _wanted(self, offer: Offer) -> str:
        """Return the sha256 that the file must have: the table's, else the one that the hub
        reports.
        """
        wanted = self.row.sha256 or offer.sha256
        if not wanted or not offer.size:
            raise DownloadFailed(
                f"The server must tell size and sha256 of {self.row.file}, but tells "
                f"{offer.size or 'no size'} and {offer.sha256 or 'no sha256'}. "
                f"{_by_hand(self.row, self.folder)}"
            )
        if offer.sha256 and offer.sha256 != wanted:
            raise CorruptWeights(
                f"{self.row.file} at {self.row.repo} must have the sha256 {wanted}, but the "
                f"server offers {offer.sha256}. Nothing was downloaded."
            )
        if not fits_size(offer.size, self.row):
            raise CorruptWeights(
                f"{self.row.file} at {self.row.repo} must have {self.row.size_bytes} bytes, but "
                f"the server offers {offer.size}. Nothing was downloaded."
            )
        return wanted

    def _prepare(self, partial: Path, size: int) -> int:
        """Return how many bytes are there; raise DownloadFailed if the disk is too full."""
        have = _size(partial)
        if have > size:
            partial.unlink()
            have = 0
        free = shutil.disk_usage(self.folder).free
        if free < size - have:
            raise DownloadFailed(
                f"{self.folder} must have {(size - have) / _MB:.0f} MB free for {self.row.name}, "
                f"but has {free / _MB:.0f} MB. Make room, or choose another folder."
            )
        return have

    def _transfer(self, offer: Offer, partial: Path) -> None:
        """Fetch until all is there. After a break it goes on as long as each attempt brings
        something.
        """
        have, restarted = _size(partial), False
        while have != offer.size:
            before = have
            try:
                self._continue(offer, partial)
            except DownloadFailed as error:
                have = _size(partial)
                if isinstance(error.__cause__, TooMuch):
                    partial.unlink()
                    if restarted:
                        raise
                    have, restarted = 0, True  # it may have sent the whole file, not the rest
                elif have <= before or isinstance(error.__cause__, NoEnd):
                    raise
                log.info("%s: %s; going on at %d", self.row.name, plain(error.__cause__), have)
                continue
            have = _size(partial)
            if have != offer.size:
                raise DownloadFailed(
                    f"{self.row.file} must have {offer.size} bytes, but {have} came. "
                    "Start again: it continues where it stopped."
                )

    def _continue(self, offer: Offer, partial: Path) -> None:
        with partial.open("ab") as file:
            sink = Sink(file, offer.size)
            try:
                self._run(lambda: fetch(offer, sink), sink)
            finally:
                sink.close()

    def _run(self, work: Callable[[], _T], sink: Sink | None = None) -> _T:
        """Do `work` in a thread, so that the host can show it and stop it meanwhile."""
        outcome: Future[_T] = Future()

        def target() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 (carried over to the waiting thread)
                outcome.set_exception(error)

        with quiet_client():
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


def _first_folder(host: Host) -> Path:
    folders = host.weight_dirs()
    assert folders, "a host must have a folder for weights"
    return folders[0]


def _make_folder(folder: Path, row: Weights) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadFailed(
            f"{folder.parent} must be writable to keep {row.name}, but is not ({error})."
        ) from error


def _free_name(folder: Path, row: Weights) -> Path:
    """Return the row's file name, with a number where another file has that name already."""
    suffix = Path(row.file).suffix
    path, number = folder / f"{row.name}{suffix}", 2
    while path.exists():
        path, number = folder / f"{row.name}-{number}{suffix}", number + 1
    return path


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _failure(row: Weights, folder: Path, error: BaseException) -> str:
    reason = plain(error) or type(error).__name__
    return (
        f"{row.file} could not be downloaded from {row.repo} ({type(error).__name__}: {reason}). "
        f"{_begun(row, folder)} {_by_hand(row, folder)}"
    )


def _begun(row: Weights, folder: Path) -> str:
    """What is here of the file already."""
    parts = (folder / STATE_FOLDER).glob(f"{row.name}.*.partial")
    if any(map(_size, parts)):
        return "Start again to continue where it stopped."
    return "Nothing was downloaded. Check the network, then start again."


def _by_hand(row: Weights, folder: Path) -> str:
    return f"By hand: download {row.url} and put it into {folder}, under any name."
