"""A host that records what the core does with it."""

from contextlib import contextmanager
from pathlib import Path

import torch

from toonout_core.host import is_out_of_memory


class FakeHost:
    """Counts steps, knows when a network may be touched, can stop or run out of memory."""

    def __init__(self, weight_dirs=(), cancel_at=None):
        self.dirs = [Path(d) for d in weight_dirs]
        self.cancel_at = cancel_at
        self.active = False
        self.visits = []  # working memory of each stay on the device
        self.workspaces = []  # working memory without a network
        self.steps = []
        self.totals = []
        self.previews = []

    def weight_dirs(self):
        return self.dirs

    @contextmanager
    def on_device(self, model, working_memory):
        self.visits.append(working_memory)
        self.active = True
        try:
            yield torch.device("cpu")
        finally:
            self.active = False

    @contextmanager
    def workspace(self, working_memory):
        self.workspaces.append(working_memory)
        yield torch.device("cpu")

    def out_of_memory(self, error):
        return is_out_of_memory(error)

    def half(self, device):
        return torch.float16 if device.type == "cuda" else None

    @contextmanager
    def progress(self, total, label):
        self.totals.append(total)

        def step(count=1, *, preview=None):
            self.steps.append(count)
            self.previews.append(preview)
            if self.cancel_at is not None and len(self.steps) >= self.cancel_at:
                raise StopFromHost

        yield step


class StopFromHost(Exception):
    """The host's own "stop", which the core must let through unchanged."""
