"""Recognise a network by its state dict alone, and fill it from one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import CorruptWeights, plain
from ..words import NetworkInput, PatchOrder, Task

StateDict = Mapping[str, Tensor]

_WRAPPER_PREFIXES = ("module.", "_orig_mod.", "net.")


def batch_counter(key: str, state: StateDict) -> Tensor | None:
    """Return zero for a counter of BatchNorm. Only training needs it, and many files lack it."""
    return torch.zeros((), dtype=torch.int64) if key.endswith(".num_batches_tracked") else None


@dataclass(frozen=True)
class Architecture:
    """One network family: how to recognise it, build it and feed it."""

    id: str
    keys: tuple[str, ...]  # a file that has all of them is of this family
    build: Callable[[StateDict], nn.Module]  # constructor arguments read from shapes
    multiple_of: int  # height and width of the input must be multiples of it
    half: bool  # whether it computes well in fp16 and bf16
    input: NetworkInput  # for a file that says nothing of it
    bytes_per_pixel: int  # of working memory, fp32, per input pixel
    rename_keys: Callable[[StateDict], dict[str, Tensor]] | None = None
    # the value of a tensor that a file may leave out; None: it must be there
    default_value: Callable[[str, StateDict], Tensor | None] = batch_counter
    # for a file that says nothing of it; None: the network has no `patch_order`
    patch_order: PatchOrder | None = None
    # asked of a file that has the keys, where another network has the same ones
    condition: Callable[[StateDict], bool] | None = None
    task: Task = "matting"
    # called with the text that a file holds about its network; the text is not to be trusted
    configure: Callable[[nn.Module, str], None] | None = None
    # the larger a picture is, the larger the network sees it, unless a size is given
    follows_picture: bool = False
    # measured: bf16 on a CPU is faster, and close enough for those who want speed
    fast_bf16: bool = False

    def matches(self, state: StateDict) -> bool:
        """Tell whether `state`, free of wrapper prefixes, is of this architecture."""
        has_keys = all(key in state for key in self.keys)
        return has_keys and (self.condition is None or self.condition(state))

    def load(self, state: StateDict) -> nn.Module:
        """Make a network that holds the tensors of `state` themselves, not copies. It is for
        inference.

        Every tensor must be there and fit: CorruptWeights names what is missing, unknown or of
        another shape.
        """
        state = self.renamed(state)
        _check_numbers(state)
        network = self._build(state)
        expected = network.state_dict()
        held = sum(value.numel() for value in state.values())
        for key in expected.keys() - state.keys():
            # only small tensors may be left out: else a tiny file could ask for any memory
            value = self.default_value(key, state) if expected[key].numel() <= held else None
            if value is not None:
                state[key] = value
        _check_fit(self.id, state, expected)
        for key, value in expected.items():
            if not value.is_floating_point():  # a .half() of the whole file converts indices too
                state[key] = state[key].to(value.dtype)
        network.load_state_dict(state, strict=True, assign=True)
        left = [key for key, value in _all_tensors(network) if value.is_meta]
        assert not left, f"{self.id} leaves {left} without values: register them persistent"
        return network.train(False).requires_grad_(False)

    def renamed(self, state: StateDict) -> dict[str, Tensor]:
        """Return the tensors of a file under the names of the network."""
        return self.rename_keys(state) if self.rename_keys is not None else dict(state)

    def _build(self, state: StateDict) -> nn.Module:
        try:
            with torch.device("meta"):
                return self.build(state)
        except Exception as error:
            raise CorruptWeights(
                f"The weights must be a whole {self.id}, as their names say, but its sizes cannot "
                f"be read from them ({type(error).__name__}: {plain(error)}). Get the file again."
            ) from error


def strip_prefixes(state: StateDict) -> dict[str, Tensor]:
    """Take away what wrappers put before the keys: data parallelism (`module.`), compilation
    (`_orig_mod.`), Lightning modules (`net.`).
    """
    bare = {_bare(key): value for key, value in state.items()}
    if len(bare) != len(state):
        raise CorruptWeights(
            f"The weights must name each tensor once, but {len(state) - len(bare)} occur with and "
            "without prefix. Save the network's state dict alone."
        )
    return bare


def count_items(state: StateDict, prefix: str) -> int:
    """Return the length of the `nn.ModuleList` or `nn.Sequential` at `prefix` (its largest index +
    1).
    """
    indices = [
        int(key[len(prefix) + 1 :].split(".", 1)[0])
        for key in state
        if key.startswith(f"{prefix}.") and key[len(prefix) + 1 :].split(".", 1)[0].isdigit()
    ]
    if indices and max(indices) >= len(state):
        raise ValueError(f"{prefix} has a part {max(indices)} in a file of {len(state)} tensors")
    return max(indices) + 1 if indices else 0


def size_of(state: StateDict, key: str, axis: int = 0) -> int:
    """Return the length of an axis of a tensor."""
    return int(state[key].shape[axis])


def examples(keys: Iterable[str], limit: int = 3) -> str:
    """Spell some of the keys: `a, b, c, …`."""
    listed = [plain(key, 100) for key in sorted(keys)]
    return ", ".join(listed[:limit]) + (", …" if len(listed) > limit else "")


def _bare(key: str) -> str:
    while key.startswith(_WRAPPER_PREFIXES):
        key = key.split(".", 1)[1]
    return key


def _all_tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]


def _check_numbers(state: StateDict) -> None:
    """Refuse tensors without numbers: their shape may claim any size."""
    empty = [key for key, value in state.items() if not value.numel()]
    if empty:
        raise CorruptWeights(
            f"The weights must hold numbers, but {len(empty)} of their {len(state)} tensors are "
            f"empty ({examples(empty)}). Get the file again."
        )


def _check_fit(name: str, state: StateDict, expected: StateDict) -> None:
    missing = expected.keys() - state.keys()
    unknown = state.keys() - expected.keys()
    misshapen = {
        f"{key} is {_shape(state[key])} instead of {_shape(expected[key])}"
        for key in expected.keys() & state.keys()
        if state[key].shape != expected[key].shape
    }
    quantised = {
        key
        for key in expected.keys() & state.keys()
        if expected[key].is_floating_point() and not state[key].is_floating_point()
    }
    faults = [
        f"{len(keys)} {what} ({examples(keys)})"
        for keys, what in (
            (missing, "missing"),
            (unknown, "unknown"),
            (misshapen, "of another shape"),
            (quantised, "whole numbers"),
        )
        if keys
    ]
    if faults:
        raise CorruptWeights(
            f"The weights must be the {len(expected)} tensors of {name}, but of their {len(state)} "
            f"tensors are {' and '.join(faults)}. The file is incomplete or of another network: "
            "get it again."
        )


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"
