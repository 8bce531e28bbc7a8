"""A process that downloads when it is told to: one JSON job a line in, one JSON answer a line out.

The hub's client reads HF_ENDPOINT and HF_HUB_OFFLINE when it is imported, hence a process.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from huggingface_hub import constants, file_download

from toonout_core import weights
from toonout_core.errors import ToonOutError
from toonout_core.weight_files import downloading, locating


class Stop(Exception):
    """The host's own way to say stop: unknown to the core."""


class Host:
    def __init__(self, folder: Path, stop_after_mb: int | None) -> None:
        self.folder, self.stop_after_mb = folder, stop_after_mb
        self.done, self.calls, self.labels = 0, 0, []

    def weight_dirs(self):
        return (self.folder,)

    @contextmanager
    def progress(self, total, label):
        self.labels.append((total, label))
        downloading = label.startswith("downloading")

        def step(count=1, *, preview=None):
            self.calls += 1
            if not downloading:
                return
            self.done += count
            if self.stop_after_mb is not None and self.done >= self.stop_after_mb:
                raise Stop

        yield step


def work(job: dict) -> dict:
    constants.DOWNLOAD_CHUNK_SIZE = 100_000  # 10 MB otherwise: too much for a fast test
    row = weights.Weights(**job["row"])
    host = Host(Path(job["folder"]), job.get("stop_after_mb"))
    http_get = file_download.http_get
    if job.get("without_parts"):  # a client of some later day
        del file_download.http_get
    try:
        with mock.patch.object(locating, "WEIGHTS", (row,)):
            path = downloading.download(row, host)
        answer = {"path": str(path)}
    except ToonOutError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    except Stop:
        answer = {"error": "Stop"}
    finally:
        file_download.http_get = http_get
    return answer | {"done": host.done, "calls": host.calls, "labels": host.labels}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(work(json.loads(line))) + "\n")
        sys.stdout.flush()
