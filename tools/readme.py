"""Write the weights table of README.md anew: `python tools/readme.py`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- weights:begin -->", "<!-- weights:end -->"

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from toonout_core.weights import WEIGHTS, Weights  # noqa: E402


def weights_table() -> str:
    """Markdown, one line a published file."""
    head = ("name", "for", "task", "sees", "licence", "size", "source")
    lines = [_line(head), _line(("---",) * len(head))]
    return "\n".join(lines + [_line(_cells(row)) for row in WEIGHTS])


def readme_with_table(readme: str) -> str:
    """`readme` with the table between its two markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md must hold {BEGIN} and {END} around the table of weights")
    return f"{before}{BEGIN}\n{weights_table()}\n{END}{after}"


def _cells(row: Weights) -> tuple[str, ...]:
    height, width = row.input.size_hw
    page = f"[{row.repo}](https://huggingface.co/{row.repo})" if row.repo else "part of this pack"
    size = f"{row.size_bytes / 1_000_000:.0f} MB"
    return (f"`{row.name}`", row.purpose, row.task, f"{width}×{height}", row.licence, size, page)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(readme_with_table(path.read_text("utf-8")), "utf-8")
