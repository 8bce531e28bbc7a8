"""The command line is made from the tables of options: whole words, one spelling, one sentence."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from tests.options.tables import every
from toonout_core.cli import VERBS, build_parser
from toonout_core.cli.parsing import Parser, add
from toonout_core.cli.train import RECORDS
from toonout_core.options.option import in_shell, number, switch, text
from toonout_core.synthesis.options import ClipOptions, KeyOptions, PairOptions, SceneOptions
from toonout_core.weights import WEIGHTS, detectors


def parsers(parser=None, name="toonout"):
    """Every parser of the command line by its words."""
    found = {name: parser or build_parser()}
    for action in found[name]._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, inner in action.choices.items():
                found |= parsers(inner, f"{name} {verb}")
    return found


PARSERS = parsers()
RECORD_FIELDS = {
    item.name
    for record in (*RECORDS.values(), SceneOptions, PairOptions, KeyOptions, ClipOptions)
    for item in fields(record)
}


def options_of(parser):
    return [
        action
        for action in parser._actions
        if action.option_strings
        and not isinstance(action, argparse._HelpAction | argparse._VersionAction)
    ]


def test_there_are_parsers_of_every_verb():
    assert {f"toonout {verb}" for verb in VERBS} < PARSERS.keys()
    assert len(PARSERS) > 20


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_every_option_is_of_the_table_or_of_a_record(parser):
    """No verb states a default, a limit or a help of its own."""
    table = list(every().values())
    for action in options_of(parser):
        if action.dest in RECORD_FIELDS and in_shell(action.dest) in action.option_strings:
            continue
        short = action.const == "overwrite"  # for --on-exists overwrite
        plain = (action.help or "").replace("%%", "%")
        assert any(
            option.in_shell in action.option_strings
            and plain.startswith(option.help)
            and (parser.get_default(action.dest) in (option.default, []) or short)
            for option in table
            if option.name == (action.const if short else action.dest)
        ), action.option_strings


def test_the_same_option_is_spelled_alike_in_every_verb():
    spelled: dict[str, set[str]] = {}
    for parser in PARSERS.values():
        for action in options_of(parser):
            if action.const != "overwrite":
                flags = [flag for flag in action.option_strings if not flag.startswith("--no-")]
                spelled.setdefault(action.dest, set()).add(flags[-1])
    assert {name: flags for name, flags in spelled.items() if len(flags) > 1} == {
        # what a file states of itself; what the network sees elsewhere
        "size": {"--resolution", "--size"},
    }


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_no_default_needs_a_download(parser):
    here = [row.name for row in WEIGHTS if row.embedded] + [detectors()[0], "auto", "", None, []]
    for action in options_of(parser):
        if action.dest in ("model", "detector", "refiner", "matte", "init", "encoder_weights"):
            default = parser.get_default(action.dest)
            assert default in [*here, argparse.SUPPRESS]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "instances g.png -o p --model toonout-mini",
            "toonout instances: there is no option --model. Did you mean --detector?",
        ),
        ("cutout g.png -o p --reso 64", "there is no option --reso. Did you mean --resume?"),
        ("cutout g.png -o p --no-downlod", "Did you mean --no-download?"),
        ("weights convert a -o b --siz=3", "no option --siz. Did you mean --resolution?"),
        ("cutuot g.png", "VERB must be one of cutout, instances"),
        ("cutuot g.png", "but is cutuot. Did you mean cutout?"),
        ("weights lst", "Did you mean list?"),
        ("cutout g.png --grow 300", "toonout cutout: --grow must be -200 … 200, but got 300. See"),
        ("cutout g.png --quality 0", "--quality must be 1 … 100, but got 0."),
        ("instances g.png -o p --limit 1.5", "--limit must be a whole number, but got 1.5."),
        ("cutout g.png --format bmp", "--format must be one of png, webp, jpg, tiff, gif, but"),
        ("synthesize scenes --data a -o b --seed -1", "--seed must be 0 … 2147483647"),
        ("cutout", "the following arguments are required: PATH. See toonout cutout --help"),
    ],
)
def test_what_is_wrong_is_one_sentence(capsys, words, sentence):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(words.split())
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", ["", "weights", "dataset", "synthesize", "train"])
def test_without_a_verb_help_is_shown(capsys, words):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(words.split())
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: toonout {words}".rstrip())


@pytest.mark.parametrize(
    ("older", "today"),
    [
        ("weights convert a --output b --size 5", "weights convert a --out b --resolution 5"),
        ("weights convert a -o b --force", "weights convert a -o b --overwrite"),
        ("compare a -o b --no-fusion", "compare a -o b --no-foreground"),
        ("evaluate a b --json f", "evaluate a b --report f"),
        ("dataset check a --json=f", "dataset check a --report f"),
        (
            "synthesize scenes --data a -o b --size-px 64",
            "synthesize scenes --data a -o b --size 64",
        ),
        ("train rtmdet --data a --out b --size-px=64", "train rtmdet --data a -o b --size 64"),
        ("synthesize keyed a -o b --edge-px 4", "synthesize keyed a -o b --edge 4"),
    ],
)
def test_spellings_of_earlier_releases_still_work(older, today):
    before, after = (build_parser().parse_args(words.split()) for words in (older, today))
    assert vars(before) == vars(after)


def test_one_option_as_an_option_of_the_shell():
    parser = Parser(prog="x")
    add(parser, number("blur_px", 1.5, (0.0, 9.0, 0.5), "Blurs by 5 % at most."), title="looks")
    add(parser, switch("fast", True, "Is fast."), switch("loud", False, "Is loud.", short="-l"))
    add(parser, text("name", None, "Its name."), several=True)
    found = parser.parse_args(["--no-fast", "-l", "--name", "a", "--name", "b"])
    assert vars(found) == {"blur_px": 1.5, "fast": False, "loud": True, "name": ["a", "b"]}
    shown = " ".join(parser.format_help().split())
    assert "--blur X Blurs by 5 % at most. (0 … 9, default: 1.5)" in shown
    assert "--fast, --no-fast Is fast. (default: on)" in shown
