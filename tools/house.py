"""Count the house: lines of each room, sizes of files, functions and node classes.

python tools/house.py
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
HOSTS = ("__init__.py", "nodes.py", "install.py", "preload.py", "comfy_nodes", "toonout_webui")

Size = tuple[int, str]  # lines, and of what


def sources(*names: str) -> list[Path]:
    """The Python files of folders, and files, of the repository."""
    found: list[Path] = []
    for path in (ROOT / name for name in names):
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return found


def lines_of(path: Path) -> int:
    """How many lines a file has."""
    return len(path.read_text("utf-8").splitlines())


def rooms() -> dict[str, int]:
    """Lines of each room: a folder or a file directly in the core, then the hosts and the rest."""
    core = ROOT / "toonout_core"
    found = {
        f"{core.name}/{path.name}": sum(map(lines_of, sources(f"{core.name}/{path.name}")))
        for path in sorted(core.iterdir())
        if path.suffix == ".py" or any(path.rglob("*.py"))
    }
    others = (*HOSTS, "scripts", "tools", "tests")
    return found | {name: sum(map(lines_of, sources(name))) for name in others}


def _defined(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def _size(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, path: Path) -> Size:
    assert node.end_lineno is not None
    first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
    return node.end_lineno - first + 1, f"{path.relative_to(ROOT).as_posix()} {node.name}"


def functions(paths: Sequence[Path]) -> list[Size]:
    """Every function and method, with its decorators."""
    return [
        _size(node, path)
        for path in paths
        for node in _defined(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def node_classes() -> list[Size]:
    """Every class of a node of ComfyUI, its schema included."""
    return [
        _size(node, path)
        for path in sources("comfy_nodes")
        for node in _defined(path)
        if isinstance(node, ast.ClassDef)
        and "define_schema" in {getattr(part, "name", "") for part in node.body}
    ]


def told(what: str, sizes: Sequence[Size]) -> str:
    """One line: how many, the median, the 95th percentile, the largest."""
    lines = [size for size, _ in sizes]
    high = quantiles(lines, n=20)[-1]
    largest, name = max(sizes)
    middle = f"median {median(lines):g}, p95 {high:.0f}"
    return f"{what}: {len(lines)}, {middle}, largest {largest} ({name})"


def main() -> None:
    """Print it."""
    found = rooms()
    for name, count in found.items():
        print(f"{count:7} {name}")
    core = sum(count for name, count in found.items() if name.startswith("toonout_core"))
    hosts = sum(found[name] for name in HOSTS)
    paths = sources("toonout_core", *HOSTS)
    files = [(lines_of(path), path.relative_to(ROOT).as_posix()) for path in paths]
    print(f"{core:7} core\n{hosts:7} hosts")
    print(told("files", files))
    print(told("functions", functions(paths)))
    print(told("node classes", node_classes()))


if __name__ == "__main__":
    main()
