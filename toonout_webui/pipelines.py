"""Which models there are, and which of them are in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..toonout_core import WEIGHTS, Matting, UnknownModel, chosen, load_matting
from ..toonout_core.loading import locate
from ..toonout_core.weight_files.locating import weight_files
from . import hosts
from .host import WebUIHost
from .options import DEFAULT_MODEL, CutoutOptions, Precision

Key = tuple[str, str, str, bool]


def table_names() -> list[str]:
    """Published models."""
    return [row.name for row in WEIGHTS if row.task == "matting"]


def model_names() -> list[str]:
    """Published models, then other weight files in the folders."""
    known = {row.name for row in WEIGHTS}
    own = {path.name for path in weight_files(WebUIHost()) if path.stem not in known}
    return table_names() + sorted(own)


def default_model() -> str:
    """What the settings say."""
    return str(hosts.option("toonout_model", DEFAULT_MODEL)) or DEFAULT_MODEL


def precision_of(options: CutoutOptions, *, on_cpu: bool = False) -> Precision:
    """What the options or, if they leave it open, the settings say."""
    if on_cpu:
        return "fp32"
    stated = options.precision
    if stated == "auto":
        stated = hosts.option("toonout_precision", "auto")
    return chosen.loading_options({"precision": stated, "fast": options.fast})["precision"]


def fetch(name: str, host: WebUIHost, download: bool) -> None:
    """Have the file of a model, if it may be downloaded. Raises DownloadFailed."""
    allowed = download and bool(hosts.option("toonout_allow_download", True))
    locate(name, host, task=None, download=allowed)


class Pipelines:
    """Keeps the models that were used last, as many as the settings allow.

    Of a model there is one copy, and a second one for the processor where the device has too
    little memory: the two never push each other out.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, dict[bool, tuple[Key, Matting]]] = OrderedDict()
        self._others: list[Callable[[], None]] = []
        self._told: set[str] = set()

    def also_forget(self, forget: Callable[[], None]) -> None:
        """Call `forget` too when models are unloaded."""
        self._others.append(forget)

    def get(self, options: CutoutOptions, *, on_cpu: bool = False) -> Matting:
        """The model of these options, loaded if it is not there. Only names that are offered."""
        precision = precision_of(options, on_cpu=on_cpu)
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
            while len(self._kept) > max(1, int(hosts.option("toonout_kept_models", 1))):
                self._kept.popitem(last=False)
            return copies[on_cpu][1]

    def _load(self, key: Key, download: bool) -> Matting:
        name, precision, patch_order, on_cpu = key
        if name not in model_names():  # also: never a path
            raise UnknownModel(
                f"The model must be one of {', '.join(model_names())}, but is {name!r}. Files of "
                "your own belong into models/toonout."
            )
        host = WebUIHost(on_cpu=on_cpu)
        fetch(name, host, download)
        self._tell(str(host.device()))
        with hosts.building_networks():
            return load_matting(
                name,
                host=host,
                precision=precision,  # pyright: ignore
                patch_order=chosen.PATCH_ORDERS[patch_order],  # pyright: ignore
                download=False,
            )

    def _tell(self, device: str) -> None:
        """Where it computes, once in the console: nobody waits for a processor unawares."""
        if device not in self._told:
            self._told.add(device)
            print(f"ToonOut: models run on {device}.")  # noqa: T201 (hosts hide logs of this level)

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
        hosts.collect_garbage()
        return names

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Models that are loaded inside go again afterwards, unless the settings keep them."""
        try:
            yield
        finally:
            if int(hosts.option("toonout_kept_models", 1)) < 1:
                self.unload()


PIPELINES = Pipelines()
