"""Which models there are, and which of them are in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..chosen import PATCH_ORDERS, loading_options
from ..errors import UnknownModel
from ..host import Host
from ..loading import locate
from ..matting import Matting, load_matting
from ..weight_files.locating import weight_files
from ..weights import WEIGHTS
from ..words import Precision
from .options import CutoutOptions
from .program import DEFAULT_MODEL, Program

Key = tuple[str, str, str, bool]


def table_names() -> list[str]:
    """Published models."""
    return [row.name for row in WEIGHTS if row.task == "matting"]


class Pipelines:
    """Keeps the models that were used last, as many as the settings allow.

    Of a model there is one copy, and a second one for the processor where the device has too
    little memory: the two never push each other out.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, dict[bool, tuple[Key, Matting]]] = OrderedDict()
        self._others: list[Callable[[], None]] = []
        self._told: set[str] = set()

    def also_forget(self, forget: Callable[[], None]) -> None:
        """Call `forget` too when models are unloaded."""
        self._others.append(forget)

    def default_model(self) -> str:
        """What the settings say."""
        return self.program.settings().model or DEFAULT_MODEL

    def model_names(self) -> list[str]:
        """Published models, then other weight files in the folders."""
        known = {row.name for row in WEIGHTS}
        files = weight_files(self.program.host())
        return table_names() + sorted({path.name for path in files if path.stem not in known})

    def precision_of(self, options: CutoutOptions, *, on_cpu: bool = False) -> Precision:
        """What the options or, if they leave it open, the settings say."""
        if on_cpu:
            return "fp32"
        stated = options.precision
        if stated == "auto":
            stated = self.program.settings().precision
        return loading_options({"precision": stated, "fast": options.fast})["precision"]

    def fetch(self, name: str, host: Host, download: bool) -> None:
        """Have the file of a model, if it may be downloaded. Raises DownloadFailed."""
        locate(name, host, task=None, download=download and self.program.settings().allow_download)

    def get(self, options: CutoutOptions, *, on_cpu: bool = False) -> Matting:
        """The model of these options, loaded if it is not there. Only names that are offered."""
        precision = self.precision_of(options, on_cpu=on_cpu)
        key = (options.model, precision, options.patch_order, on_cpu)
        with self._lock:
            copies = self._kept.setdefault(options.model, {})
            try:
                if copies.get(on_cpu, (None, None))[0] != key:
                    copies.pop(on_cpu, None)  # before the next one takes memory
                    copies[on_cpu] = (key, self._load(key, options.allow_download))
            finally:
                if not copies:
                    del self._kept[options.model]
            self._kept.move_to_end(options.model)
            while len(self._kept) > max(1, self.program.settings().kept_models):
                self._kept.popitem(last=False)
            return copies[on_cpu][1]

    def _load(self, key: Key, download: bool) -> Matting:
        name, precision, patch_order, on_cpu = key
        if name not in (known := self.model_names()):  # also: never a path
            raise UnknownModel(
                f"The model must be one of {', '.join(known)}, but is {name!r}. Files of your own "
                f"belong in {self.program.own_models()}."
            )
        host = self.program.host(on_cpu=on_cpu)
        self.fetch(name, host, download)
        self._tell(str(self.program.device(on_cpu=on_cpu)))
        with self.program.building_networks():
            return load_matting(
                name,
                host=host,
                precision=precision,  # pyright: ignore
                patch_order=PATCH_ORDERS[patch_order],  # pyright: ignore
                download=False,
            )

    def _tell(self, device: str) -> None:
        """Where it computes, once in the console: nobody waits for a processor unawares."""
        if device not in self._told:
            self._told.add(device)
            self.program.say(f"models run on {device}.")

    def names(self) -> list[str]:
        """Models in memory, the last one used at the end."""
        with self._lock:
            return [next(iter(copies.values()))[1].name for copies in self._kept.values()]

    def unload(self) -> list[str]:
        """Forget all models and give their memory back; their names."""
        with self._lock:
            names = self.names()
            for copies in self._kept.values():
                for _, matting in copies.values():
                    matting.loaded.network.to("cpu")
            self._kept.clear()
        for forget in self._others:
            forget()
        self.program.collect_garbage()
        return names

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Models that are loaded inside go again afterwards, unless the settings keep them."""
        try:
            yield
        finally:
            if self.program.settings().kept_models < 1:
                self.unload()
