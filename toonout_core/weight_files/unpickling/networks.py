"""Turn networks that were pickled whole into state dicts."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from .objects import Damage, StandIn

# far above any real network: a short file must not become a long wait
_DEPTH, _ENTRIES, _NAME_LENGTH = 64, 200_000, 500
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")


def flatten(content: Any) -> Any:
    """Replace networks, at the top or one level down, by state dicts. Averaged weights
    come first.
    """
    if _is_network(content):
        return _state_of(content)
    if not isinstance(content, dict):
        return content
    entries = {
        key: _state_of(value) if _is_network(value) else value
        for key, value in cast("dict[Any, Any]", content).items()
    }
    averaged = content.get("ema")
    return {**entries, "model": entries["ema"]} if _is_network(averaged) else entries


def _is_network(value: Any) -> bool:
    if not isinstance(value, StandIn):
        return False
    return all(isinstance(value.state.get(part), dict) for part in _MODULE_PARTS)


def _state_of(network: StandIn) -> dict[str, Tensor]:
    """Return the network's state dict, by the rules of `nn.Module.state_dict`."""
    found: dict[str, Tensor] = {}
    waiting: list[tuple[str, int, StandIn]] = [("", 0, network)]
    seen = 0
    while waiting:
        prefix, depth, module = waiting.pop()
        parameters, buffers, children = (module.state[part] for part in _MODULE_PARTS)
        seen += 1 + len(parameters) + len(buffers) + len(children)
        if seen > _ENTRIES or depth > _DEPTH or len(prefix) > _NAME_LENGTH:
            raise Damage("its network has no end")
        fleeting = module.state.get("_non_persistent_buffers_set")
        left_out = {name for name in fleeting if isinstance(name, str)} if fleeting else set[str]()
        for name, value in [*parameters.items(), *buffers.items()]:
            if isinstance(value, Tensor) and name not in left_out:
                found[f"{prefix}{name}"] = value
        waiting += [
            (f"{prefix}{name}.", depth + 1, child)
            for name, child in children.items()
            if _is_network(child)
        ]
    return found
