"""A dataclass as command line options: every field one, with its type and default."""

from __future__ import annotations

import argparse
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..options.option import in_shell, said
from .parsing import Parser


def add_fields(parser: Parser, record: type[Any]) -> None:
    """`--field-name` for every field, without its unit; the caller adds what has no default."""
    hints = get_type_hints(record)
    for item in fields(record):
        if item.default is MISSING and item.default_factory is MISSING:
            continue
        flag, full = in_shell(item.name), f"--{item.name.replace('_', '-')}"
        parser.older |= {} if flag == full else {full: flag}
        parser.add_argument(
            flag,
            dest=item.name,
            default=argparse.SUPPRESS,
            help=_help(item),
            **_reading(hints[item.name]),
        )


def given_fields(arguments: argparse.Namespace, record: type[Any]) -> dict[str, Any]:
    """The fields that stand on the command line, lists as tuples."""
    names = {item.name for item in fields(record)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(arguments).items()
        if name in names
    }


def _help(item: Field[Any]) -> str:
    explained = str(item.metadata.get("help", ""))
    note = f"(default: {said(item.default)})" if said(item.default) else ""
    return " ".join(part for part in (explained, note) if part).replace("%", "%%")


def _reading(hint: Any) -> dict[str, Any]:
    """Keyword arguments for `add_argument`."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return _reading(next(part for part in parts if part is not type(None)))
    if kind is Literal:
        return {"choices": parts, "type": type(parts[0])}
    if kind is tuple:
        many = len(parts) == 2 and parts[1] is Ellipsis
        return {"nargs": "+" if many else len(parts), "type": parts[0], "metavar": "N"}
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": hint, "metavar": {int: "N", float: "X"}.get(hint, "TEXT")}
