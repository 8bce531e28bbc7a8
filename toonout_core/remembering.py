"""The mattes that a network made last, so that who asks a second time does not wait again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import torch
from torch import Tensor

LIMIT_BYTES = 64 << 20  # of alpha: sixteen megapixels


class LastMattes:
    """Alphas by what is in their pictures: those asked for last, up to `limit_bytes` together."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def keys(self, image: Tensor, how: str) -> list[str] | None:
        """One for each frame of B×3×H×W; `how`: all else that alpha depends on. None: too much."""
        pixels = int(image.shape[0] * image.shape[-2] * image.shape[-1])
        if not 0 < pixels * 4 <= self._limit_bytes:
            return None
        return [f"{how} {tuple(frame.shape)} {_digest(frame)}" for frame in image]

    def recall(self, keys: list[str]) -> Tensor | None:
        """B×1×H×W, a copy; None unless all frames are known."""
        with self._lock:
            if any(key not in self._kept for key in keys):
                return None
            for key in keys:
                self._kept.move_to_end(key)
            return torch.stack([self._kept[key] for key in keys])

    def keep(self, keys: list[str], alpha: Tensor) -> None:
        """Copies of B×1×H×W, a frame for each key."""
        with self._lock:
            for key, frame in zip(keys, alpha, strict=True):
                self._kept[key] = frame.detach().cpu().clone()
                self._kept.move_to_end(key)
            while sum(frame.numel() * 4 for frame in self._kept.values()) > self._limit_bytes:
                self._kept.popitem(last=False)


def _digest(frame: Tensor) -> str:
    values = frame.detach().to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(values.data).hexdigest()
