"""Do work in portions that are as large as the memory of a host's device allows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import torch

from .errors import OutOfMemory
from .host import Host

log = logging.getLogger("toonout")

Hold = Callable[[int], AbstractContextManager[Any]]
Work = Callable[[slice, Any], None]  # a slice, and what `hold` gave: the device

_ON_CPU = 0


@contextmanager
def memory_for(host: Host, what: str) -> Iterator[None]:
    """Turn what allocators throw into a sentence, where work cannot be done in portions."""
    try:
        yield
    except Exception as error:
        if not host.out_of_memory(error):
            raise
        raise OutOfMemory(
            f"There must be enough memory for {what}, but there is not. Make the picture smaller, "
            "or close other programs."
        ) from error


# what was too much once is not tried again: host → kind of work → how much fits
_fitting: WeakKeyDictionary[Host, dict[Hashable, int]] = WeakKeyDictionary()


def in_portions(
    host: Host,
    total: int,
    at_once: int,
    hold: Hold,
    work: Work,
    *,
    kind: Hashable,
    sentence: str,
    or_on_cpu: bool = False,
) -> None:
    """Call `work` on slices of `total` items that are at most `at_once` long, and halved as in
    `in_halves`.

    `work` may be called again for a slice that it had begun.
    """
    done = 0

    def rest(count: int, held: Any) -> None:
        nonlocal done
        while done < total:
            part = slice(done, min(done + count, total))
            work(part, held)
            done = part.stop

    if total:
        in_halves(
            host, min(at_once, total), lambda count: hold(min(count, total - done)), rest,
            kind=kind, sentence=sentence, or_on_cpu=or_on_cpu,
        )  # fmt: skip


def in_halves(
    host: Host,
    at_once: int,
    hold: Hold,
    work: Callable[[int, Any], None],
    *,
    kind: Hashable,
    sentence: str,
    or_on_cpu: bool = False,
) -> None:
    """Do `work` with `at_once` items at a time, and with half as many whenever memory runs out.

    `hold(count)` gives the device and room for `count` items. A host makes room when `hold` is left
    with an error, so one item is tried a second time. After that the CPU is taken if `or_on_cpu`,
    else OutOfMemory is raised with `sentence`. The number that fits is remembered for this `kind`
    of work.
    """
    fitting = _fitting.setdefault(host, {})
    count, tried_one = min(at_once, fitting.get(kind, at_once)), False
    while True:
        on_cpu = count == _ON_CPU
        try:
            with nullcontext(torch.device("cpu")) if on_cpu else hold(count) as held:
                return work(max(count, 1), held)
        except Exception as error:
            if not host.out_of_memory(error):
                raise
            if on_cpu or (count == 1 and tried_one and not or_on_cpu):
                raise OutOfMemory(sentence) from error
        # only here the tensors of the failed try are free
        count, tried_one = count // 2 if count > 1 or tried_one else 1, count == 1
        fitting[kind] = count
        log.info("out of memory: %s", f"{count} at a time" if count else "on the CPU")
