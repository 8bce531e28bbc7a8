"""README and the pages of docs: their blocks, what these need, and the words between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)
HELP = tuple(sorted((ROOT / "web" / "docs").glob("*.md")))  # of ComfyUI's nodes
# what `<!-- needs: … -->` above a block may say: such a block is read, but not run
NEEDS = {
    "download": "weights or packages from the network",
    "host": "a running ComfyUI or WebUI",
    "hours": "hours, a training for instance",
    "gpu": "a graphics card",
    "program": "a program that is not ours",
    "data": "files that only the reader has",
    "clone": "the steps before it, see test_contributing.py",
}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (?:needs: (.*?)|file: .*?) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `needs` is empty if it can be run anywhere."""

    page: Path
    line: int
    language: str
    text: str
    needs: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in its order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[1], match[2], _need(mark)))
    return found


def _need(mark: re.Match[str] | None) -> str:
    """A block that is the content of a file is for a clone, too."""
    return "" if mark is None else mark[1] or "clone"


def prose(page: Path) -> str:
    """A page without its blocks, tables, comments and the addresses of links."""
    text = _FENCE.sub("\n", page.read_text("utf-8"))
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*\|.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\([^)]*\)", "]", text)


def sentences(page: Path) -> list[str]:
    """The sentences of a page's paragraphs and lists; headings are none."""
    found = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)", prose(page)):
        if paragraph.lstrip().startswith(("#", "![")):
            continue
        joined = " ".join(paragraph.split())
        found += re.split(r"(?<=[.!?])(?:\*\*|\)|”|\*|`)*\s+(?=[\W_]*[A-Z0-9`*])", joined)
    return [sentence for sentence in found if len(sentence.split()) > 1]


def inline_code(page: Path) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", _FENCE.sub("", page.read_text("utf-8")))
