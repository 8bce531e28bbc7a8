"""What a release for the Comfy registry would contain, and what its scanner would say of it."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import release
from toonout_core.weights import WEIGHTS

ROOT = Path(__file__).resolve().parents[1]

RUN_TIME = {
    "huggingface-hub": "huggingface_hub",
    "numpy": "numpy",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "safetensors": "safetensors",
    "torch": "torch",
    "torchvision": "torchvision",
}
# come with what is above, with an extra of pyproject.toml or with ComfyUI; no import needs them
OPTIONAL = {"av", "tqdm", "aiohttp", "segment_anything", "faster_coco_eval"}
OPTIONAL |= {"fastapi", "starlette", "uvicorn", "yarl", "ray"}
COMFYUI = {"comfy", "comfy_api", "folder_paths"}
LATE = {"cv2", "huggingface_hub"} | OPTIONAL

# what the registry's scanner looks for in any text, comments included
SUSPECT = [
    re.compile(pattern)
    for pattern in (
        r"subprocess\.",
        r"os\.system\(",
        r"os\.environ",
        r"os\.getenv\(",
        r"requests\.(get|post)\(",
        r"urllib\.request",
        r"urlopen\(",
        r"http\.client",
        r"aiohttp\.ClientSession",
        r"\bsocket\.",
        r"\.connect\(",
        r"\.bind\(",
        r"\.send\(",
        r"\.recv\(",
        r"\beval\(",
        r"\bexec\(",
        r"__import__\(",
        r"\bmarshal\b",
        r"zlib\.decompress",
        r"pip install",
    )
]

TEXT_SUFFIXES = {".css", ".js", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml", ""}


@pytest.fixture(scope="module")
def archive() -> list[Path]:
    """What the registry's client would pack."""
    try:
        return [ROOT / name for name in release.archive()]
    except release.NoCheckoutError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def modules(archive) -> dict[Path, ast.Module]:
    return {
        path: ast.parse(path.read_text("utf-8"), filename=str(path))
        for path in archive
        if path.suffix == ".py"
    }


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_archive_is_whole_and_small_and_has_nothing_else(archive):
    """Nodes, library, help pages and their pictures, languages, examples, blueprints."""
    names = {relative(path) for path in archive}
    assert names >= {
        "toonout_core/assets/toonout-mini.safetensors",
        "toonout_core/assets/colours.safetensors",
        "web/docs/ToonOut_Matte.md",
        "web/docs/pictures/matte.jpg",
        "locales/ja/nodeDefs.json",
        "example_workflows/05 New background.json",
        "example_workflows/05 New background.jpg",
        "examples/meadow.webp",
        "subgraphs/Replace Background (ToonOut).json",
        "toonout_core/training/__init__.py",
        "toonout_core/evaluation/__init__.py",
        "toonout_core/synthesis/__init__.py",
    }
    assert {"tests", "tools", "docs", ".github"}.isdisjoint(name.split("/")[0] for name in names)
    assert release.check_archive() == []


def suspicions(text: str) -> list[str]:
    return [
        f"line {number}: {pattern.pattern}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in SUSPECT
        if pattern.search(line)
    ]


def test_no_text_that_the_scanner_flags(archive):
    found = {
        relative(path): suspicions(path.read_text("utf-8"))
        for path in archive
        if path.suffix in TEXT_SUFFIXES
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    ["import subprocess; subprocess.run(x)", "model.eval()", "# pip install x", "ws.send(1)"],
)
def test_planted_text_is_flagged(line):
    assert suspicions(line)


def test_no_two_statements_on_a_line(modules):
    found = [
        f"{relative(path)}:{token.start[0]}"
        for path in modules
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
        if token.type == tokenize.OP and token.string == ";"
    ]
    assert found == []


def top_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {name.name.split(".")[0] for name in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return {node.module.split(".")[0]}
    return set()


def test_nothing_but_the_run_time_list_is_imported(modules):
    """No transformers, timm, mmcv, onnxruntime: what moves under one's feet is not stood upon."""
    known = sys.stdlib_module_names | set(RUN_TIME.values()) | OPTIONAL
    for path, module in modules.items():
        allowed = known | (COMFYUI if path.parent.name == "comfy_nodes" else set())
        imported = set().union(*(top_names(node) for node in ast.walk(module)))
        assert imported <= allowed, relative(path)


def imported_at_once(module: ast.Module) -> set[str]:
    """Names imported when the module is, functions and type checking left out."""
    return set().union(*(top_names(node) for node in done_at_once(module)))


def done_at_once(module: ast.Module) -> Iterator[ast.AST]:
    """Every part of a module that runs when it is imported."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)


def test_heavy_and_optional_imports_wait_for_their_use(modules):
    for path, module in modules.items():
        allowed = {"fastapi", "starlette"} if path.parent.name == "serving" else set()
        assert not imported_at_once(module) & (LATE - allowed), relative(path)


def test_the_room_that_imports_fastapi_at_once_is_itself_imported_late(modules):
    for path, module in modules.items():
        names = [n.module for n in done_at_once(module) if isinstance(n, ast.ImportFrom)]
        late = path.parent.name == "serving" or not any(
            (n or "").startswith("serving") for n in names
        )
        assert late, relative(path)


def test_a_planted_early_import_is_seen():
    assert imported_at_once(ast.parse("try:\n    import cv2\nexcept ImportError:\n    pass")) == {
        "cv2"
    }
    assert imported_at_once(ast.parse("def f():\n    import cv2")) == set()


# arguments that every release of huggingface_hub from 0.26 to 2.4 has
HUB_ARGUMENTS = {
    "hf_hub_download": {"repo_id", "filename", "revision", "local_dir"},
    "hf_hub_url": {"repo_id", "filename", "revision"},
    "get_hf_file_metadata": {"url", "timeout"},
    "http_get": {"url", "resume_size", "headers", "expected_size"},
    "build_hf_headers": set(),
    "try_to_load_from_cache": {"revision"},
}


def test_the_hub_is_called_with_lasting_arguments(modules):
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                used = {keyword.arg for keyword in node.keywords}
                allowed = HUB_ARGUMENTS.get(name)
                assert allowed is None or used <= allowed, f"{relative(path)}:{node.lineno}"


def test_requirements_are_the_run_time_list_and_bare():
    """A version or a comment here breaks other packs, or ComfyUI-Manager."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert sorted(lines) == sorted(RUN_TIME)


def test_pyproject_is_what_the_registry_accepts():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.search(r'^name = "[a-z][a-z0-9-]{1,98}"$', text, re.M)
    assert 'license = { file = "LICENSE" }' in text
    assert "[tool.comfy]" in text
    assert re.search(r'^PublisherId = "[a-z0-9-]+"$', text, re.M)
    assert re.search(r'^requires-comfyui = ">=0\.3\.64"$', text, re.M)


def test_every_link_in_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


def test_the_notice_names_every_network_and_every_origin_of_weights():
    notice = (ROOT / "NOTICE").read_text("utf-8")
    folders = [path.parent for path in (ROOT / "toonout_core" / "models").glob("*/__init__.py")]
    wanted = {f"toonout_core/models/{folder.name}" for folder in folders}
    wanted |= {f"huggingface.co/{row.repo.split('/')[0]}" for row in WEIGHTS if row.repo}
    assert {name for name in wanted if name not in notice} == set()
