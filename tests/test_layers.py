"""Who may import whom, and where layouts may be spelled out: the house plan, enforced."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "toonout_core"

PIPELINE = {"errors", "host", "imaging", "results", "weights", "loading", "ops"}
PIPELINE |= {"portions", "inference", "edges", "detail", "flow"}
APPLICATION = PIPELINE | {"matting", "instances", "output"}

# on the ground floor: every part of the core may import these
GROUND = {"lazily", "words", "opencv"}

# part of the core -> the parts that it may import
MAY_IMPORT = {
    "errors": set(),
    "lazily": set(),
    "words": set(),
    "opencv": {"errors"},
    "weights": set(),
    "options": {"errors"},
    "host": {"errors"},
    "remembering": set(),
    "locking": set(),
    "imaging": {"errors"},
    "models": {"errors", "ops"},
    "ops": {"errors", "imaging"},
    "results": {"errors", "imaging", "ops"},
    "instances": {"errors", "imaging", "ops"},
    # from a name to a network
    "weight_files": {"errors", "host", "locking", "weights", "models"},
    "loading": {"errors", "host", "weights", "models", "weight_files", "remembering"},
    "converting": {"errors", "host", "weights", "models", "weight_files", "loading"},
    # a network at work
    "portions": {"errors", "host"},
    "inference": {"errors", "host", "loading", "portions"},
    # pipelines
    "edges": {"errors", "host", "loading", "inference"},
    "detail": {"errors", "host", "ops", "edges"},
    "flow": {"errors", "host", "imaging", "results", "ops", "portions", "detail", "remembering"},
    "matting": PIPELINE | {"remembering"},
    "steadying": {"errors", "host", "imaging", "flow", "ops"},
    "segmentation": PIPELINE | {"matting", "instances", "models", "weight_files"},
    "characters": {"errors", "imaging", "instances", "ops", "segmentation"},
    "chosen": {"options", "flow", "ops", "segmentation", "characters"},
    # pictures to files
    "output": PIPELINE | {"locking", "matting", "instances", "segmentation", "characters"},
    # what one does with the pipelines
    "motion": {"errors", "host", "imaging", "instances", "layers", "ops", "options", "results"}
    | {"characters"},
    "layers": {"errors", "imaging", "instances", "ops", "output"},
    "synthesis": APPLICATION,
    "evaluation": APPLICATION | {"segmentation", "synthesis"},
    "training": APPLICATION
    | {"models", "weight_files", "segmentation", "characters", "evaluation", "synthesis"},
    # what several hosts answer over HTTP
    "serving": APPLICATION
    | {"options", "chosen", "weight_files", "segmentation", "characters", "layers"}
    | {"flow", "steadying"},
    # the shell
    "cli": None,  # anything
    "__main__": {"cli"},
    "__init__": None,
}

# what the skins of ComfyUI and the WebUI may know of the core, beside its public names
FOR_HOSTS = {
    "characters",
    "chosen",
    "errors",
    "evaluation",
    "flow",
    "host",
    "imaging",
    "layers",
    "matting",
    "motion",
    "ops",
    "options",
    "output",
    "portions",
    "remembering",
    "steadying",
    "weights",
    "words",
}
# the WebUI also serves routes, and lists and fetches weight files
FOR_WEBUI = FOR_HOSTS | {"serving", "weight_files"}

HOST_MODULES = {
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "comfy_nodes",
    "execution",
    "folder_paths",
    "gradio",
    "launch",
    "modules",
    "nodes",
    "server",
    "toonout_core",  # the core reaches itself by relative imports only
}


def part_of(path: Path) -> str:
    """First component below toonout_core, without the suffix."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def imports_of(source: str, package: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
    """(absolute dotted name split at the dots, line) of every import in a module of `package`."""
    found: list[tuple[tuple[str, ...], int]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(tuple(name.name.split(".")), node.lineno) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            found += [((*base, name.name), node.lineno) for name in node.names]
    return found


def forbidden_imports(part: str, source: str, package: tuple[str, ...]) -> list[str]:
    """`package` is counted from the core: ("<core>",) for a module directly in it."""
    allowed = MAY_IMPORT[part]
    found = []
    for name, line in imports_of(source, package):
        if name[0] != "<core>":
            if name[0] in HOST_MODULES:
                found.append(f"line {line}: {name[0]} belongs to a host")
        elif len(name) > 1 and allowed is not None and name[1] not in {*allowed, *GROUND, part}:
            if name[1] == "__version__":
                continue
            found.append(f"line {line}: {part} must not import {name[1]}")
    return found


CORE_FILES = sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("path", CORE_FILES, ids=lambda p: p.relative_to(CORE).as_posix())
def test_core_imports_only_downwards(path: Path):
    part = part_of(path)
    assert part in MAY_IMPORT, f"say in the table of this test what {part} may import"
    package = ("<core>", *path.relative_to(CORE).parent.parts)
    assert forbidden_imports(part, path.read_text("utf-8"), package) == []


@pytest.mark.parametrize(
    ("part", "package", "source"),
    [
        ("models", ("<core>", "models", "unet"), "from ...host import Host"),
        ("errors", ("<core>",), "from . import imaging"),
        ("ops", ("<core>", "ops"), "def f():\n    from ..matting import Matting"),
        ("weights", ("<core>",), "from .models import ARCHITECTURES"),
        ("matting", ("<core>",), "import folder_paths"),
        ("matting", ("<core>",), "from comfy.utils import ProgressBar"),
        ("output", ("<core>", "output"), "from ..cli import main"),
        ("output", ("<core>", "output"), "from toonout_core.errors import BadInput"),
    ],
)
def test_planted_violations_are_seen(part, package, source):
    assert len(forbidden_imports(part, source, package)) == 1


def test_allowed_imports_are_not_flagged():
    source = "from ..errors import BadInput\nfrom .blur import box_blur\nimport torch"
    assert forbidden_imports("ops", source, ("<core>", "ops")) == []


def skin_files() -> list[Path]:
    return [ROOT / "__init__.py", ROOT / "nodes.py", *sorted((ROOT / "comfy_nodes").rglob("*.py"))]


def webui_files() -> list[Path]:
    return sorted((ROOT / "toonout_webui").rglob("*.py"))


def forbidden_in_skin(
    source: str, package: tuple[str, ...], public: set[str], parts: set[str] = FOR_HOSTS
) -> list[str]:
    found = []
    for name, line in imports_of(source, package):
        if name[0] == "toonout_core":
            found.append(f"line {line}: reach the core by a relative import")
        inner = name[2:] if name[:2] == ("<root>", "toonout_core") else ()
        if inner and inner[0] not in parts and inner[-1] not in public:
            found.append(f"line {line}: {'.'.join(inner)} is not for hosts")
    return found


def test_a_planted_violation_in_the_skin_is_seen():
    package = ("<root>", "comfy_nodes")
    for line in ("from ..toonout_core.loading import load_network", "import toonout_core"):
        assert len(forbidden_in_skin(line, package, {"Matting"})) == 1
    assert not forbidden_in_skin("from ..toonout_core.matting import Matting", package, {"Matting"})


@pytest.mark.parametrize("path", skin_files(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nodes_know_public_names_only(path: Path):
    import toonout_core

    package = ("<root>", *path.relative_to(ROOT).parent.parts)
    public = {*toonout_core.__all__, "__version__"}
    assert forbidden_in_skin(path.read_text("utf-8"), package, public) == []


@pytest.mark.parametrize("path", webui_files(), ids=lambda p: p.name)
def test_the_webui_reaches_the_core_in_the_same_way(path: Path):
    import toonout_core

    public = {*toonout_core.__all__, "__version__"}
    text = path.read_text("utf-8")
    assert forbidden_in_skin(text, ("<root>", "toonout_webui"), public, FOR_WEBUI) == []


# ---------------------------------------------------------------- what costs seconds to import

# torchvision alone takes as long as torch: whoever wants one of them imports it where it is used
SLOW = {"torchvision", "cv2", "huggingface_hub", "tqdm"}


def slow_imports(source: str) -> list[str]:
    """Of those, what a module imports as soon as it is imported itself."""
    tree = ast.parse(source)
    later = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    tree.body = [node for node in tree.body if node not in later]
    names = {part for name, _ in imports_of(ast.unparse(tree), ()) for part in (name[0], name[-1])}
    return sorted(names & SLOW)


@pytest.mark.parametrize(
    "path",
    [path for path in (*CORE_FILES, *skin_files(), *webui_files()) if "training" not in path.parts],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_slow_packages_are_imported_where_they_are_used(path: Path):
    assert slow_imports(path.read_text("utf-8")) == []


def test_a_planted_slow_import_is_seen():
    assert slow_imports("import os\ntry:\n    from torchvision.ops import nms\nexcept E:\n    pass")
    assert not slow_imports("if TYPE_CHECKING:\n    import cv2\ndef f():\n    import cv2")


# ---------------------------------------------------------------- layouts

LAYOUT_METHODS = {"permute", "movedim", "moveaxis"}
DIVISIONS = {"div", "divide", "true_divide"}


def layouts_in(source: str) -> list[str]:
    """Places where axis order, bit depth, colour order or an alpha split are spelled out."""
    return [
        f"line {node.lineno}: {why}"
        for node in ast.walk(ast.parse(source))
        if (why := _layout(node)) and isinstance(node, ast.expr | ast.stmt)
    ]


def _layout(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and node.attr in LAYOUT_METHODS:
        return f".{node.attr}"
    if (divisor := _divisor(node)) and _is_white(divisor):
        return f"/ {ast.unparse(divisor)}"
    if isinstance(node, ast.ImportFrom) and node.module == "PIL":
        return "PIL.Image" if "Image" in [name.name for name in node.names] else ""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        return _channel_slice(node.slice.elts)
    return ""


def _divisor(node: ast.AST) -> ast.expr | None:
    """What is divided by, in either spelling; nothing where a number is divided."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return None if _is_number(node.left) else node.right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        return node.args[-1] if node.func.attr.strip("_") in DIVISIONS else None
    return None


def _is_white(node: ast.expr) -> bool:
    """Whether it is the largest level of 8 or 16 bit, cast or not."""
    bare = node.args[0] if _is_cast(node) else node
    return isinstance(bare, ast.Constant) and bare.value in (255, 65535)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_cast(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and len(node.args) == 1


def _channel_slice(axes: list[ast.expr]) -> str:
    """Colour flips `[..., ::-1]`; splits at channel 3, last or second of the axes."""
    last = axes[-1]
    channel_last = isinstance(axes[0], ast.Constant) and axes[0].value is ...
    second = len(axes) == 2 and isinstance(axes[0], ast.Slice) and axes[0].lower is None
    if not isinstance(last, ast.Slice) or not (channel_last or second):
        return ""
    if channel_last and last.step is not None and ast.unparse(last.step) == "-1":
        return "[..., ::-1]"
    edges = [edge.value for edge in (last.lower, last.upper) if isinstance(edge, ast.Constant)]
    return "an alpha split" if 3 in edges else ""


LAYOUT_FREE = [
    path
    for path in [*CORE_FILES, *sorted((ROOT / "comfy_nodes").rglob("*.py")), *webui_files()]
    if CORE not in path.parents or part_of(path) not in ("imaging", "models")
]


@pytest.mark.parametrize("path", LAYOUT_FREE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_layouts_are_spelled_in_imaging_only(path: Path):
    assert layouts_in(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "x.permute(0, 3, 1, 2)",
        "np.moveaxis(x, -1, 0)",
        "x / 255",
        "x / np.float32(255)",
        "x / 65535.0",
        "x.div(0xFF)",
        "x.div_(255)",
        "torch.true_divide(x, 65535)",
        "np.divide(x, np.float32(255))",
        "from PIL import Image",
        "bgr[..., ::-1]",
        "rgba[..., :3]",
        "planes[:, 3:4]",
    ],
)
def test_planted_layouts_are_seen(line):
    assert len(layouts_in(line)) == 1


@pytest.mark.parametrize(
    "line", ["x[:, ::-1]", "x / 2", "x.div(2)", "x[..., :4]", "x[3:, :3, 3:]", "0.5 / 255"]
)
def test_other_arithmetic_is_not_flagged(line):
    assert layouts_in(line) == []
