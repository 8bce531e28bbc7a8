"""Say whether this checkout can be released: `python tools/release.py --check`.

Version, changelog, what the registry's archive would hold, ComfyUI's own validator where it is
installed, a licence for every weight file and picture. Exit code 1 if something is missing.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import toonout_core  # noqa: E402
from tools.readme import address, foreign  # noqa: E402
from toonout_core.weights import WEIGHTS  # noqa: E402

PICTURES = {".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"}
WEIGHT_FILES = {".ckpt", ".pt", ".pth", ".safetensors"}
MOST_BYTES = 20_000_000
# tops that the archive must have whole, and all that it may have
WHOLE = (
    "comfy_nodes", "example_workflows", "examples", "locales", "subgraphs", "toonout_core", "web",
)  # fmt: skip
FILES = (
    "CHANGELOG.md", "LICENSE", "NOTICE", "README.md", "__init__.py", "node_list.json", "nodes.py",
    "pyproject.toml", "requirements.txt",
)  # fmt: skip
# the licence of a picture is a name or the page that tells it
_LICENCES = re.compile(r"\b(CC0-1\.0|MIT|CC-BY(-SA)?-\d\.\d|see \S+\.md|of the pictures above)")


class NoCheckoutError(Exception):
    """The folder is no checkout that git can read."""


def tracked(*folders: str) -> list[str]:
    """Names of the files that git knows and that are there."""
    command = ["git", "-c", "core.quotePath=off", "ls-files", "-z", "--cached", "--", *folders]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoCheckoutError("this folder must be a git checkout") from error
    names = done.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def archive() -> list[str]:
    """Tracked files without those that .comfyignore keeps out, by the registry client's rules."""
    import pathspec

    rules = (ROOT / ".comfyignore").read_text("utf-8").splitlines()
    left_out = pathspec.GitIgnoreSpec.from_lines(rules)
    return [name for name in tracked() if not left_out.match_file(name)]


def check_version() -> list[str]:
    """The version is one, and the changelog has a dated part for it."""
    version = toonout_core.__version__
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"__version__ must be three numbers, but is {version!r}"]
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE):
        return []
    return [f"CHANGELOG.md has no line '## [{version}] - YEAR-MONTH-DAY'"]


def check_address() -> list[str]:
    """README and docs name the repository of pyproject.toml."""
    own = address((ROOT / "pyproject.toml").read_text("utf-8"))
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    return [
        f"{page.name} names {other}; pyproject.toml says {own}. Run python tools/readme.py"
        for page in pages
        for other in foreign(page.read_text("utf-8"), own)
    ]


def check_archive() -> list[str]:
    """The registry's archive is whole, and has nothing that only developers need."""
    names = archive()
    there = set(names)
    missing = [name for name in FILES if name not in there]
    missing += [name for name in tracked(*WHOLE) if name not in there]
    problems = [f"{name} is not in the archive" for name in missing]
    allowed = {*WHOLE, *FILES}
    problems += [f"{name} is in the archive" for name in names if name.split("/")[0] not in allowed]
    size = sum((ROOT / name).stat().st_size for name in names)
    if size > MOST_BYTES:
        problems.append(f"the archive has {size} bytes; the most is {MOST_BYTES}")
    return problems


def check_licences() -> list[str]:
    """A licence for each weight file and each picture; NOTICE names every weight file."""
    notice = (ROOT / "NOTICE").read_text("utf-8")
    problems = [f"{row.name} has no licence in the table" for row in WEIGHTS if not row.licence]
    own = [name for name in archive() if Path(name).suffix in WEIGHT_FILES]
    problems += [f"{name} is not in NOTICE" for name in own if name not in notice]
    lines = licensed(notice)
    return problems + unlicensed(pictures(), lines)


def pictures() -> list[str]:
    """Those of the archive and of the pages."""
    names = [*archive(), *tracked("docs")]
    return sorted({name for name in names if Path(name).suffix.lower() in PICTURES})


def licensed(notice: str) -> list[str]:
    """Patterns of NOTICE's part *Pictures* whose line names a licence."""
    part = notice.partition("\nPictures\n")[2]
    patterns: list[str] = []
    for line in part.splitlines():
        names, colon, licence = line.strip().partition(": ")
        if colon and _LICENCES.search(licence):
            patterns += names.split(", ")
    return patterns


def unlicensed(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """A sentence for each picture that no pattern names."""
    known = list(patterns)
    return [
        f"{name}: NOTICE names no licence for it"
        for name in names
        if not any(fnmatch(name, pattern) for pattern in known)
    ]


def check_validator() -> list[str]:
    """What `comfy node validate` says, where comfy-cli is installed."""
    program = shutil.which("comfy")
    if program is None:
        print("  comfy-cli is not installed: skipped")
        return []
    command = [program, "--skip-prompt", "--no-enable-telemetry", "node", "validate"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [(done.stdout + done.stderr).strip()]


CHECKS: dict[str, Callable[[], list[str]]] = {
    "version": check_version,
    "address": check_address,
    "archive": check_archive,
    "licences": check_licences,
    "comfy node validate": check_validator,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="say what a release lacks")
    parser.add_argument("--list", action="store_true", help="print the files of the archive")
    given = parser.parse_args(arguments)
    if given.list:
        print(*archive(), sep="\n")
    if not given.check:
        return 0
    found = {name: check() for name, check in CHECKS.items()}
    for name, problems in found.items():
        print(f"{name}: {'good' if not problems else ''}")
        for problem in problems:
            print(f"  {problem}")
    names = archive()
    size = sum((ROOT / name).stat().st_size for name in names)
    print(f"{len(names)} files, {size / 1_000_000:.1f} MB")
    return int(any(found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
