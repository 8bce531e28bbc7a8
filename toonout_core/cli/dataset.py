"""`toonout dataset`: make pictures with known alpha ready for training, and check them."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from ..options import data_sets, running
from .parsing import Parser, Verbs, add
from .reports import save_json
from .terminal import say

if TYPE_CHECKING:
    from ..training.dataset.checking import Finding

EXAMPLES = """\
examples:
  toonout dataset split cutouts -o mine            train, validation, test by character, 80/10/10
  toonout dataset check mine                       before every training
  toonout dataset mattes mine -o published         im, gt and an folders, alpha as it is
  toonout dataset mattes mine -o published --threshold 0 220       alpha as the published data's

The first folder below cutouts is a picture's category. Who is in a picture is the third part of a
published name (ALPHA_CONTEXT_CHARACTER_seedN), else the name before its last number; --character
says otherwise: published (the third part, seed or not), folder, file, or a pattern whose first
group it is. The columns file, category and character of an ATTRIBUTION.csv win. A folder bg is left
alone.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "dataset",
        help="split, convert and check training pictures",
        description="Make pictures with known alpha ready for training.",
        epilog=EXAMPLES,
    )
    tasks = parser.add_verbs("task")
    split = tasks.add_parser(
        "split",
        help="copy into train, validation and test",
        description="Copy pictures into train, validation and test, a character into one only.",
    )
    _add_folders(split)
    add(split, data_sets.CHARACTER)
    add(split, data_sets.SPLIT_SHARES, count=3)
    add(split, running.SEED, data_sets.LOOKS)
    mattes = tasks.add_parser(
        "mattes",
        help="cutouts to folders im, gt and an",
        description="Turn cutouts into folders of pictures (im), mattes (gt) and cutouts (an).",
    )
    _add_folders(mattes)
    add(mattes, data_sets.THRESHOLD, count=2)
    add(mattes, data_sets.UNDER_CUTOUTS, running.SEED)
    check = tasks.add_parser(
        "check",
        help="sizes, alpha, duplicates, leaks between splits",
        description="Look for faults: sizes, alpha, duplicates, leaks between splits.",
    )
    check.add_argument("folder", metavar="DIR", help="searched with its subfolders")
    add(check, data_sets.CHARACTER, data_sets.FINDINGS)


def _add_folders(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", help="searched with its subfolders")
    add(parser, running.OUT, required=True)


def run(arguments: argparse.Namespace) -> int:
    """One task."""
    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise BadInput("a data set must be a folder", str(folder))
    tasks = {"split": _split, "mattes": _mattes, "check": _check}
    return tasks[arguments.task](folder, arguments)


def _split(folder: Path, arguments: argparse.Namespace) -> int:
    from ..training.dataset.checking import few_to_choose_by
    from ..training.dataset.splitting import split_folder

    counts = split_folder(
        folder,
        Path(arguments.out),
        rule=arguments.character,
        shares=arguments.shares,
        seed=arguments.seed,
        by_looks=arguments.looks,
    )
    print(table(counts))
    say(f"Copies, and split.csv: {arguments.out}")
    for split in (split for split, row in counts.items() if not row):
        say(f"There is no picture in {split}: too few characters, or --shares leave it out.")
    if text := few_to_choose_by(sum(counts["validation"].values())):
        say(text)
    kept, *others = counts.values()
    elsewhere = {name for row in others for name in row}
    whole = [name or "-" for name, n in kept.items() if n > 2 and name not in elsewhere]
    if whole:
        say(
            f"All of {', '.join(whole)} is in train: split.csv tells who was taken for whom, "
            "`--character file` takes each picture for another one."
        )
    return 0


def _mattes(folder: Path, arguments: argparse.Namespace) -> int:
    from ..training.dataset.truths import Threshold, write_mattes

    threshold = Threshold(*arguments.threshold) if arguments.threshold else Threshold()
    out = Path(arguments.out)
    written, replaced, faults = write_mattes(
        folder,
        out,
        threshold=threshold,
        background=arguments.background,
        seed=arguments.seed,
    )
    for name, text in faults:
        say(f"{name}: {text}")
    older = f", {replaced} of them replaced older ones" if replaced else ""
    say(f"{written} cutouts in folders im, gt and an{older}: {out}")
    return 1 if faults else 0


def _check(folder: Path, arguments: argparse.Namespace) -> int:
    from ..training.dataset.checking import check_folder

    result = check_folder(folder, rule=arguments.character)
    print(table(result.counts))
    for line in finding_lines(result.findings):
        print(line)
    kinds = Counter((finding.grave, finding.kind) for finding in result.findings)
    for (grave, kind), count in sorted(kinds.items(), reverse=True):
        say(f"{count} × {kind}{'' if grave else ' (a note)'}")
    if arguments.report:
        content: dict[str, Any] = {
            "counts": result.counts,
            "findings": [asdict(finding) for finding in result.findings],
        }
        text = json.dumps(content, indent=2) + "\n"
        say(f"Findings: {save_json(Path(arguments.report), text)}")
    say("Nothing stands in the way of training." if result.sound else "Not ready for training.")
    return 0 if result.sound else 1


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Faults first; what is said of several single pictures is said once."""
    grouped: dict[tuple[bool, str, tuple[str, ...], str], list[str]] = {}
    for finding in findings:
        together = finding.names if len(finding.names) > 1 else ()
        key = (not finding.grave, finding.kind, together, finding.text)
        grouped.setdefault(key, []).extend(finding.names)
    lines: list[str] = []
    for (harmless, kind, _, text), names in sorted(grouped.items()):
        who = f": {_few(names)}" if names else ""
        lines.append(f"{'note' if harmless else 'FAULT'}  {kind}{who}. {text}")
    return lines


def _few(names: Sequence[str], limit: int = 4) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Pictures per category and split, in Markdown."""
    splits = list(counts)
    categories = sorted({category for row in counts.values() for category in row})
    lines = [
        f"| category | {' | '.join(split or 'no split' for split in splits)} |",
        f"|---|{'---:|' * len(splits)}",
    ]
    for category in categories:
        cells = (str(counts[split].get(category, 0)) for split in splits)
        lines.append(f"| {category or '-'} | {' | '.join(cells)} |")
    sums = (str(sum(counts[split].values())) for split in splits)
    return "\n".join([*lines, f"| all | {' | '.join(sums)} |"])
