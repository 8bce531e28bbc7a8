"""The shell: one module a verb with `add_parser` and `run`; none imports torch before it runs.

Exit codes: 0 all done · 1 some inputs failed · 2 nothing could be done · 130 interrupted, and by
another signal 128 and its number: 143 for SIGTERM.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from .. import __version__
from ..errors import Cancelled, ToonOutError
from ..options import rembg
from .parsing import Parser
from .terminal import INTERRUPTED, Signals, say, show_log

# the table of contents, in the order of the help: a verb is called as its module
VERBS = (
    *("cutout", "instances", "kenburns", "puppet", "layers", "sprites"),
    *("watch", "serve", "queue", "weights", "doctor"),
    *("dataset", "synthesize", "train", "evaluate", "compare"),
)

_SELDOM = (20_000, 20, 100)  # new objects before Python looks for cycles


def verb_module(verb: str) -> Any:
    """Import the module of a verb, with `add_parser` and `run`."""
    return import_module(f".{verb}", __name__)


def build_parser(verb: str | None = None) -> Parser:
    """Make the whole command line, or only what the one verb needs, which is read faster."""
    parser = Parser(prog="toonout", description="Cut anime and cartoon characters out of pictures.")
    parser.add_argument("--version", action="version", version=f"toonout {__version__}")
    parser.mistaken |= rembg.VERBS
    verbs = parser.add_verbs("verb")
    for name in VERBS if verb is None else (verb,):
        verb_module(name).add_parser(verbs)
    return parser


def entry() -> int:
    """`toonout` as a program.

    Importing torch makes a million objects that live to the end. Python looks for cycles among them
    again and again, and once more when it ends: of 2.0 s that is 0.55 s.
    """
    gc.set_threshold(*_SELDOM)
    try:
        return main()
    finally:
        gc.freeze()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = build_parser(next((verb for verb in words[:1] if verb in VERBS), None)).parse_args(
        words
    )
    quiet = bool(getattr(arguments, "quiet", False))
    signals = Signals()
    with show_log(logging.WARNING if quiet else logging.INFO):
        # torchrun ends trainings by SIGTERM, whose other processes then answer no more
        if arguments.verb == "train":
            return _run(arguments)
        with signals.end_as_ctrl_c():
            return signals.exit_code(_run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    try:
        return verb_module(arguments.verb).run(arguments)
    except (KeyboardInterrupt, Cancelled):
        say("Interrupted.")
        return INTERRUPTED
    except ToonOutError as error:
        say(f"toonout {arguments.verb}: {error}")
        return 2
    except BrokenPipeError:  # whoever read our output has gone
        sys.stderr.close()
        return 1
    except OSError as error:
        say(f"toonout {arguments.verb}: {_sentence(error)}")
        return 2


def _sentence(error: OSError) -> str:
    from ..output.destination import sentence_of

    return sentence_of(error)
