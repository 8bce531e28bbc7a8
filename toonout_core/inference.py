"""Run a network on its host's device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .host import Host
from .loading import LoadedNetwork, in_fp32
from .portions import Work, in_portions

log = logging.getLogger("toonout")

T = TypeVar("T")


class Inference:
    """Runs a network on as much at a time as memory allows.

    If half precision fails, the network runs in fp32 from then on. `loaded` says what runs now.
    """

    def __init__(self, loaded: LoadedNetwork, host: Host) -> None:
        self.loaded = loaded
        self.host = host

    def run(
        self,
        total: int,
        at_once: int,
        work: Work,
        memory: Callable[[int], int],
        *,
        of: Hashable,
        advice: str,
    ) -> None:
        """Call `work` for slices that together are all `total` items, on the device.

        `memory(count)`: bytes that `count` items need beside the weights, in fp32. `of`: what this
        depends on, such as the size of the pictures. Raises OutOfMemory, with `advice`.
        """

        def needed(count: int) -> int:
            return memory(count) * self.loaded.dtype.itemsize // 4

        in_portions(
            self.host,
            total,
            at_once,
            lambda count: self.host.on_device(self.loaded.network, needed(count)),
            work,
            kind=(self.loaded.path, of),
            sentence=(
                f"{self.loaded.name} must have about {needed(1) / 2**30:.1f} GiB of memory beside "
                f"its weights, but the device has less. {advice}"
            ),
        )

    @torch.inference_mode()
    def ask(self, question: Callable[[nn.Module, torch.dtype], T], device: torch.device) -> T:
        """Return what `question` gets from the network on `device`. Call this inside of `run` only.

        If the network answers with NaN or infinity in half precision, it is asked again in fp32,
        and stays in fp32.
        """
        of_network = next((value.dtype for value in self.loaded.network.parameters()), None)
        if of_network == torch.float32:  # perhaps since another one, who shares it, met NaN
            self.loaded = replace(self.loaded, dtype=of_network)
        if self.loaded.dtype == torch.float32:
            return question(self.loaded.network, torch.float32)
        sound: list[bool] = []
        watch = self.loaded.network.register_forward_hook(
            lambda network, given, answer: sound.extend(map(_is_finite, _tensors(answer)))
        )
        try:
            answer = question(self.loaded.network, self.loaded.dtype)
        finally:
            watch.remove()
        if all(sound):
            return answer
        kind = str(self.loaded.dtype).removeprefix("torch.")
        log.warning("%s gave no numbers in %s: it runs in fp32 now", self.loaded.name, kind)
        with torch.inference_mode(False):
            self.loaded = in_fp32(self.loaded)
            self.loaded.network.to(device)
        return question(self.loaded.network, torch.float32)


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _tensors(answer: Any) -> Iterator[Tensor]:
    """Yield every tensor in what a network returns."""
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from _tensors(part)
    elif is_dataclass(answer):
        for field in fields(answer):
            yield from _tensors(getattr(answer, field.name))
