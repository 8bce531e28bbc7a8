"""Write the tables of options into the pages, from the tables that hosts are made from.

`python tools/helps.py` writes the tables of the nodes' help (`web/docs`), of `docs/webui.md` and
`docs/synthesis.md`, and all of `docs/commands.md` below its first lines. The words around them stay
as they are. `python tools/helps.py --check` writes nothing and names the pages that are not as the
options say.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.comfy.graphs import node_classes  # noqa: E402
from tests.options.tables import every  # noqa: E402
from toonout_core.cli import build_parser  # noqa: E402
from toonout_core.options.option import Option  # noqa: E402
from toonout_core.serving.options import OPTIONS  # noqa: E402
from toonout_core.weights import WEIGHTS, detectors  # noqa: E402

HELP, DOCS = ROOT / "web" / "docs", ROOT / "docs"
INPUTS, OUTPUTS, CHOICES = ("input", "meaning"), ("output", "meaning"), ("option", "meaning")
MORE_SCENES = ("single", "empty", "close", "attach", "flat")  # shares that are 0 at first

Row = tuple[str, str]

# ---------------------------------------------------------------- Markdown

# what Markdown would read as its own, and options of the shell
_QUOTED = r"(?<!\w)'(?P<quoted>[^' ]+)'(?!\w)"
_SIGNS = r"[^\s(),;:'\"]*[*_#\[\]<>%][^\s(),;:'\"]*(?<!\.)|(?<!\S)--[a-z][a-z-]*"
_POLARITY = r"\b(?:White|black) = (?:character|background)\b"


def marked(text: str, values: tuple[str, ...] = (), titles: tuple[str, ...] = ()) -> str:
    """A help text as Markdown: words that are typed as code, names of nodes and what is white bold.

    `values`: what may be chosen; it is code before a colon, and with a hyphen anywhere.
    """
    bold = "|".join([_POLARITY, *(rf"{re.escape(name)}(?: \(ToonOut\))?" for name in titles)])
    words = {*values, *detectors(), *(row.name for row in WEIGHTS)}
    chosen = "|".join(map(re.escape, sorted(values, key=len, reverse=True))) or r"(?!)"
    hyphened = "|".join(map(re.escape, sorted((w for w in words if "-" in w), key=len)[::-1]))
    before_colon = rf"(?:{chosen})(?=(?:(?:,| and) (?:{chosen}))*:)"
    typed = rf"(?<![\w-])(?:{before_colon}|(?:{hyphened})(?![\w-]))"

    def as_markdown(found: re.Match[str]) -> str:
        if found["bold"]:
            return f"**{found['bold']}**"
        word = found["typed"] or found["quoted"] or found["signs"]
        return f"`{word}`" if re.search(r"\w", word) else word

    parts = re.split(r"(`[^`]*`)", text.replace("|", r"\|"))
    rule = re.compile(f"(?P<bold>{bold})|(?P<typed>{typed})|{_QUOTED}|(?P<signs>{_SIGNS})")
    return "".join(part if part.startswith("`") else rule.sub(as_markdown, part) for part in parts)


def table(head: Row, rows: list[Row]) -> str:
    """A table of two columns, which fits into ComfyUI's narrow panel."""
    lines = [f"| {left} | {right} |" for left, right in (head, *rows)]
    return "\n".join([lines[0], "|---|---|", *lines[1:]])


def with_table(page: str, head: Row, rows: list[Row]) -> str:
    """`page` with its one table of that head made anew. Raises ValueError if there is none."""
    first = re.escape(f"| {head[0]} | {head[1]} |")
    found = re.findall(rf"^{first}\n(?:\|.*\n?)*", page, re.MULTILINE)
    if len(found) != 1:
        raise ValueError(
            f"a page must have one table with the head | {head[0]} | {head[1]} |, "
            f"but has {len(found)}. Write its first two lines where the table shall stand."
        )
    end = "\n" if found[0].endswith("\n") else ""
    return page.replace(found[0], table(head, rows) + end)


# ---------------------------------------------------------------- options and sockets


def notes(option: Option) -> str:
    """`0 … 4096 in steps of 32, default: 0`."""
    found = [one_of(option.choices, option.help), option.limits]
    if option.kind == "whole" and option.step != 1:
        found[1] += f" in steps of {option.step:.12g}"
    if said := option.default_said:
        found.append(f"default: {f'`{said}`' if isinstance(option.default, str) else said}")
    return ", ".join(filter(None, found))


def one_of(choices: tuple[str, ...], text: str) -> str:
    """All choices, unless the text names them."""
    said = all(word.lower() in text.lower() for word in choices)
    return "" if said else "one of " + ", ".join(f"`{word}`" for word in choices)


def meaning(
    text: str, note: str, values: tuple[str, ...] = (), titles: tuple[str, ...] = ()
) -> str:
    """The right cell: what it is, and then its facts."""
    return marked(text, values, titles) + (f" *({note})*" if note else "")


def input_rows(schema: Any, titles: tuple[str, ...]) -> list[Row]:
    """Sockets with their type, widgets with their limits and default."""
    options = {(option.name, option.help, option.default): option for option in every().values()}
    rows: list[Row] = []
    for item in schema.inputs:
        option = options.get((item.id, item.tooltip, getattr(item, "default", None)))
        socket = f"`{item.io_type}`" + (", optional" if item.optional else "")
        known = tuple(getattr(item, "options", None) or ())
        note = notes(option) if option and not getattr(item, "force_input", None) else socket
        rows.append((f"**{item.id}**", meaning(item.tooltip, note, known, titles)))
    return rows


def output_rows(schema: Any, titles: tuple[str, ...]) -> list[Row]:
    """Outputs with their type."""
    return [
        (
            f"**{item.display_name}**",
            meaning(
                item.tooltip,
                "a list of " * bool(item.is_output_list) + f"`{item.io_type}`",
                titles=titles,
            ),
        )
        for item in schema.outputs
    ]


# ---------------------------------------------------------------- pages


def help_page(page: str, schema: Any, titles: tuple[str, ...]) -> str:
    """The help of a node with its tables as its schema says."""
    page = with_table(page, INPUTS, input_rows(schema, titles))
    return with_table(page, OUTPUTS, output_rows(schema, titles)) if schema.outputs else page


def help_pages(nodes: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The help of every node; `nodes`: classes by id."""
    schemas = {name: node.define_schema() for name, node in nodes.items()}
    titles = tuple(one.display_name.removesuffix(" (ToonOut)") for one in schemas.values())
    for name, schema in schemas.items():
        path = HELP / f"{name}.md"
        yield path, help_page(path.read_text("utf-8"), schema, titles)


def commands(parser: argparse.ArgumentParser | None = None) -> Iterator[argparse.ArgumentParser]:
    """What can be called: verbs, and the verbs behind a verb."""
    parser = parser or build_parser()
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for one in action.choices.values():
            yield from commands(one)


def action_row(action: argparse.Action) -> Row:
    """An argument of the shell: how it is written, and its help."""
    values = tuple(map(str, action.choices or ()))
    shape = argparse.HelpFormatter("")._format_args(action, "") if action.option_strings else ""
    value = "" if values or not shape else f" {shape}"
    names = [name + value for name in action.option_strings] or [str(action.metavar)]
    text = (action.help or "").replace("%%", "%")
    # limits and default stand at the end, as `parsing` and `fields` write them
    said = re.fullmatch(r"(.*) \(([^()]*(?: … |default: )[^()]*)\)", text)
    text, note = said.groups() if said else (text, "")
    cell = ", ".join(f"`{name}`" for name in names).replace("|", r"\|")
    return cell, meaning(text, ", ".join(filter(None, (one_of(values, text), note))), values)


def command(parser: argparse.ArgumentParser) -> str:
    """A part of the page of commands: a verb, and a table for each group of its options."""
    parts = [f"## {parser.prog}", parser.description or ""]
    tables: dict[str, list[Row]] = {}
    for group in parser._action_groups:
        title = "" if group.title in ("options", "positional arguments") else f"**{group.title}**"
        title += f": {group.description}" if title and group.description else ""
        rows = [action_row(one) for one in group._group_actions if one.dest != "help"]
        tables.setdefault(title, []).extend(rows)
    for title, rows in tables.items():
        parts += [title, table(CHOICES, rows)] if rows else []
    return "\n\n".join(filter(None, parts))


def commands_page(page: str) -> str:
    """The first lines stay; then every command follows."""
    head = page.partition("\n## ")[0].rstrip()
    return "\n\n".join([head, *map(command, commands())]) + "\n"


def scene_rows() -> list[Row]:
    """Shares of scenes that are off unless somebody asks for them."""
    parser = next(one for one in commands() if one.prog.endswith("scenes"))
    flags = [f"--{name}-share" for name in MORE_SCENES]
    return [action_row(parser._option_string_actions[flag]) for flag in flags]


def docs_pages() -> Iterator[tuple[Path, str]]:
    """The pages of `docs` with tables that are made."""
    routes = [
        (f"`{name}`", meaning(option.help, notes(option), option.choices))
        for name, option in OPTIONS.items()
    ]
    path = DOCS / "webui.md"
    yield path, with_table(path.read_text("utf-8"), CHOICES, routes)
    path = DOCS / "synthesis.md"
    yield path, with_table(path.read_text("utf-8"), CHOICES, scene_rows())
    path = DOCS / "commands.md"
    yield path, commands_page(path.read_text("utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="name pages that differ, write none")
    check = parser.parse_args().check
    pages = [*help_pages(node_classes()), *docs_pages()]
    changed = {path: text for path, text in pages if path.read_text("utf-8") != text}
    for path, text in changed.items():
        print(path.relative_to(ROOT).as_posix())
        if not check:
            path.write_text(text, "utf-8")
    return int(check and bool(changed))


if __name__ == "__main__":
    raise SystemExit(main())
