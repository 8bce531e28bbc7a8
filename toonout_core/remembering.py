"""Remember the mattes that a network made last, so that nobody waits for the same matte twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import torch
from torch import Tensor

LIMIT_BYTES = 64 << 20  # of alpha: sixteen megapixels


class LastMattes:
    """Keeps alphas under the content of their pictures: the last ones, `limit_bytes` in all."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def keys(self, image: Tensor, how: str) -> list[str] | None:
        """Return a key for each frame of B×3×H×W, or None if they are too large to be kept.

        `how` spells all else that alpha depends on.
        """
        pixels = int(image.shape[0] * image.shape[-2] * image.shape[-1])
        if not 0 < pixels * 4 <= self.limit_bytes:
            return None
        return [f"{how} {tuple(frame.shape)} {_digest(frame)}" for frame in image]

    def recall(self, keys: list[str]) -> Tensor | None:
        """Return a copy B×1×H×W; None unless all frames are known."""
        with self._lock:
            if any(key not in self._kept for key in keys):
                return None
            for key in keys:
                self._kept.move_to_end(key)
            return torch.stack([self._kept[key] for key in keys])

    def keep(self, keys: list[str], alpha: Tensor) -> None:
        """Keep copies of B×1×H×W, a frame for each key."""
        with self._lock:
            for key, frame in zip(keys, alpha, strict=True):
                self._kept[key] = frame.detach().cpu().clone()
                self._kept.move_to_end(key)
            while sum(frame.numel() * 4 for frame in self._kept.values()) > self.limit_bytes:
                self._kept.popitem(last=False)


def _digest(frame: Tensor) -> str:
    values = frame.detach().to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(values.data).hexdigest()
