"""Read the training configuration that a checkpoint carries as text.

The text has the form of Python: assignments of literals and of `dict(...)`. It is parsed but never
run, and anything else in it has no value here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LENGTH_LIMIT = 200_000  # published ones have 30 000
_EPS_RANGE = (1e-8, 1e-1)
_SIDE_RANGE = (32, 4096)


@dataclass(frozen=True)
class Settings:
    """What the configuration says and tensors cannot. None: it does not say it.

    `side_px`: of the square that pictures were padded to. `eps`: of the norms.
    """

    side_px: int | None = None
    eps: float | None = None


def read_settings(text: str) -> Settings:
    """Read a whole configuration. What is missing or odd in it is None."""
    values = read_assignments(text)
    pads = [step for step in _dicts(values.get("test_pipeline")) if step.get("type") == "Pad"]
    sizes = [side for pad in pads for side in _numbers(pad.get("size"), *_SIDE_RANGE)]
    norms = [found["norm_cfg"] for found in _dicts(values.get("model")) if "norm_cfg" in found]
    epsilons = {e for norm in _dicts(norms) for e in _numbers(norm.get("eps"), *_EPS_RANGE)}
    return Settings(
        side_px=int(max(sizes)) if sizes else None,
        # parts of different eps: no published network has any
        eps=float(epsilons.pop()) if len(epsilons) == 1 else None,
    )


def read_assignments(text: str) -> dict[str, Any]:
    """Return names and values of the assignments of literals; empty if the text is no
    such thing.
    """
    if len(text) > _LENGTH_LIMIT:
        return {}
    try:
        statements = ast.parse(text).body
        return {
            target.id: _value(statement.value)
            for statement in statements
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
    except Exception:  # noqa: BLE001 (nothing but the parser of Python runs here)
        return {}


def _value(node: ast.expr) -> Any:
    """Evaluate constants, lists, tuples, dicts and `dict(a=…)` of such; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {word.arg: _value(word.value) for word in node.keywords if word.arg}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        return -number if isinstance(number, int | float) else None
    return None


def _dicts(value: Any) -> Iterator[dict[Any, Any]]:
    """Yield the value itself and all within it that are dicts."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _dicts(item)


def _numbers(value: Any, low: float, high: float) -> list[float]:
    items = value if isinstance(value, list) else [value]
    return [
        item
        for item in items
        if isinstance(item, int | float) and not isinstance(item, bool) and low <= item <= high
    ]
