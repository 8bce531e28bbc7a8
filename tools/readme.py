"""Write anew what pages have from elsewhere: the table of weights, the repository's address.

`python tools/readme.py` takes the address from pyproject.toml. `python tools/readme.py --address
https://github.com/you/toonout` changes it first: for a fork, or when the repository moves.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE_PAGE = ROOT / "docs" / "weights.md"
BEGIN, END = "<!-- weights:begin -->", "<!-- weights:end -->"
HOST = "https://github.com/"
RAW = "https://raw.githubusercontent.com/"

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from toonout_core.weights import WEIGHTS, Weights  # noqa: E402


def weights_table() -> str:
    """Markdown, one line a published file."""
    head = ("name", "for", "task", "sees", "licence", "size", "source")
    lines = [_line(head), _line(("---",) * len(head))]
    return "\n".join(lines + [_line(_cells(row)) for row in WEIGHTS])


def with_table(page: str) -> str:
    """`page` with the table between its two markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must hold {BEGIN} and {END} around the table of weights")
    return f"{before}{BEGIN}\n{weights_table()}\n{END}{after}"


def address(pyproject: str) -> str:
    """The repository's, without a slash or .git at its end."""
    found = re.search(r'^Repository = "(https://github\.com/[\w.-]+/[\w.-]+?)(?:\.git)?/?"$',
                      pyproject, re.MULTILINE)  # fmt: skip
    if found is None:
        raise ValueError('pyproject.toml must hold Repository = "https://github.com/…"')
    return found[1]


def moved(text: str, old: str, new: str) -> str:
    """`text` with every address of the repository, and of its raw files, changed."""
    for before, after in ((old, new), (old.replace(HOST, RAW), new.replace(HOST, RAW))):
        text = re.sub(rf"{re.escape(before)}(?=$|[/\"'`)\s]|\.git\b)", after, text)
    return text


def foreign(text: str, own: str) -> list[str]:
    """Addresses in a text that end in the repository's name and are not `own`."""
    name = own.rpartition("/")[2]
    found = re.findall(rf"https://github\.com/[\w.-]+/{re.escape(name)}\b", text)
    return sorted(set(found) - {own})


def _cells(row: Weights) -> tuple[str, ...]:
    height, width = row.input.size_hw
    page = f"[{row.repo}](https://huggingface.co/{row.repo})" if row.repo else "part of this pack"
    size = f"{row.size_bytes / 1_000_000:.0f} MB"
    return (f"`{row.name}`", row.purpose, row.task, f"{width}×{height}", row.licence, size, page)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", help="where the repository is from now on")
    project, readme = ROOT / "pyproject.toml", ROOT / "README.md"
    now = address(project.read_text("utf-8"))
    wanted = parser.parse_args().address or now
    address(f'Repository = "{wanted}"')  # refused before anything is written
    for path in (project, *sorted((ROOT / "docs").glob("*.md")), readme):
        path.write_text(moved(path.read_text("utf-8"), now, wanted), "utf-8")
    TABLE_PAGE.write_text(with_table(TABLE_PAGE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
