"""The last mattes, so that other radii or colours do not cost the network's time again."""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from torch import Tensor

from ..toonout_core import Fit
from ..toonout_core.host import Step, reporting
from ..toonout_core.matting import MattingFlow

LIMIT_BYTES = 256 * 2**20  # of alpha: 64 pictures of 1024²; clips may be longer than memory is


class Memory:
    """Alphas by model and what it was asked; those of a model go with it, the oldest when they are
    too many."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[int, Hashable], Tensor] = OrderedDict()

    def recall(self, model: object, asked: Hashable) -> Tensor | None:
        """What `keep` was given, if it is still here."""
        key = (id(model), asked)
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def keep(self, model: object, asked: Hashable, alpha: Tensor) -> None:
        """Keep it; nothing that is larger than all of the room, and nothing of models that cannot
        be watched."""
        if alpha.nbytes > self.limit_bytes:
            return
        if not any(owner == id(model) for owner, _ in self._kept):
            try:
                weakref.finalize(model, self._forget, id(model))
            except TypeError:
                return
        self._kept[id(model), asked] = alpha
        while sum(kept.nbytes for kept in self._kept.values()) > self.limit_bytes:
            self._kept.popitem(last=False)

    def _forget(self, owner: int) -> None:
        for key in [key for key in self._kept if key[0] == owner]:
            del self._kept[key]


MEMORY = Memory()


class Remembering(MattingFlow):
    """Another flow whose predictions are kept. `source`: what lives as long as the model does."""

    def __init__(self, flow: MattingFlow, source: Any, memory: Memory = MEMORY) -> None:
        self.flow, self.source, self.memory = flow, source, memory
        self.host = flow.host

    @property
    def name(self) -> str:
        return self.flow.name

    def native_px(self, resolution: int | None = None) -> int:
        return self.flow.native_px(resolution)

    def sees_more(self, image: Tensor, resolution: int | None = None) -> bool:
        return self.flow.sees_more(image, resolution)

    def predict(
        self,
        image: Tensor,
        *,
        resolution: int | None = None,
        fit: Fit = "auto",
        frames_per_step: int = 1,
        label: str = "matting",
        report: Step | None = None,
    ) -> Tensor:
        """As the other flow's."""
        asked = (_digest(image), resolution, fit)
        known = self.memory.recall(self.source, asked)
        if known is not None:
            with reporting(self.host, len(image), label, report) as step:
                step(len(image))
            return known.to(image.device)
        alpha = self.flow.predict(
            image, resolution=resolution, fit=fit, frames_per_step=frames_per_step, label=label,
            report=report,
        )  # fmt: skip
        self.memory.keep(self.source, asked, alpha)
        return alpha


def _digest(image: Tensor) -> tuple[Hashable, ...]:
    """What two pictures share only if they are equal; a tensor may be changed under our hands."""
    content = image.detach().cpu().contiguous()
    return tuple(image.shape), str(image.dtype), hashlib.blake2b(content.numpy().data).digest()
