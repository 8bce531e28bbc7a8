"""Does in a copy of the repository what CONTRIBUTING tells a newcomer to do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT, blocks

_FILE = re.compile(r"<!-- file: (.*?) -->\n\Z")


@dataclass(frozen=True)
class Step:
    """A block of CONTRIBUTING and the file that it is for; empty: commands."""

    file: str
    language: str
    text: str


def steps() -> list[Step]:
    """All that is to be written or run in a clone, in the order of the page."""
    page = ROOT / "CONTRIBUTING.md"
    lines = page.read_text("utf-8").splitlines(keepends=True)
    found = []
    for block in blocks(page):
        file = _FILE.search("".join(lines[: block.line - 1]))
        if file or block.needs == "clone":
            found.append(Step(file[1] if file else "", block.language, block.text))
    return found


def write(step: Step, root: Path) -> None:
    """Make, change or extend the file of a step below `root`."""
    if step.language == "diff":
        path = root / step.file
        path.write_text(changed(path.read_text("utf-8"), step.text), "utf-8")
    elif step.language == "json":
        for path in root.glob(step.file):
            whole = json.loads(path.read_text("utf-8")) | json.loads(step.text)
            path.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", "utf-8")
    else:
        path = root / step.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text, "utf-8")


def changed(text: str, diff: str) -> str:
    """`text` with the lines of a diff that has neither numbers nor a head."""
    lines = [line or " " for line in diff.splitlines()]
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    after = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    assert text.count(before) == 1, f"these lines must stand there once:\n{before}"
    return text.replace(before, after)
