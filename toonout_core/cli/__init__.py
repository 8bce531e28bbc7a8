"""The shell: one module a verb with `add_parser` and `run`; none imports torch before it runs.

Exit codes: 0 all done · 1 some inputs failed · 2 nothing could be done · 130 interrupted, and by
another signal 128 and its number: 143 for SIGTERM.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import Cancelled, ToonOutError
from . import (
    compare,
    cutout,
    dataset,
    doctor,
    evaluate,
    instances,
    kenburns,
    layers,
    puppet,
    queue,
    sprites,
    synthesize,
    train,
    weights,
)
from .parsing import Parser
from .terminal import INTERRUPTED, Signals, say, show_log

# the table of contents, in the order of the help: a verb is called as its module
VERBS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        *(cutout, instances, kenburns, puppet, layers, sprites, queue, weights, doctor),
        *(dataset, synthesize, train, evaluate, compare),
    )
}


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(prog="toonout", description="Cut anime and cartoon characters out of pictures.")
    parser.add_argument("--version", action="version", version=f"toonout {__version__}")
    verbs = parser.add_verbs("verb")
    for module in VERBS.values():
        module.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    arguments = build_parser().parse_args(argv)
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
        return VERBS[arguments.verb].run(arguments)
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
