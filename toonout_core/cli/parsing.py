"""From the tables of options to the command line: parsers that take whole words, and say which
word was meant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

from ..errors import BadInput
from ..options.option import Option


class Verbs(Protocol):
    """Where a verb adds its parser."""

    def add_parser(self, name: str, **options: Any) -> Parser: ...


class Parser(argparse.ArgumentParser):
    """Takes no shortened options, and shows its help where a verb is missing."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)
        self.older: dict[str, str] = {}  # spellings of earlier releases
        self.mistaken: dict[str, str] = {}  # options that users try, and what they mean
        self.translate: Callable[[list[str]], list[str]] = lambda words: words  # of other programs
        self._verb = ""
        self._titled: dict[str, Any] = {"": self}

    def titled(self, title: str, description: str | None = None) -> Any:
        """The group of that title, made when it is first asked for; no title: no group."""
        if title not in self._titled:
            self._titled[title] = self.add_argument_group(title, description)
        return self._titled[title]

    def remember(self, option: Option) -> None:
        """Its other spellings."""
        for older in option.older:
            self.older[older] = option.in_shell
            self.older["--no-" + older[2:]] = "--no-" + option.in_shell[2:]
        self.mistaken |= dict.fromkeys(option.mistaken, option.in_shell)

    def add_verbs(self, dest: str) -> Any:
        """Where verbs, or what stands behind one, are added."""
        self._verb = dest
        return self.add_subparsers(dest=dest, metavar=dest.upper())

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """All that is not known is an error, here and not in the parser above."""
        words = None if args is None else self._translated([self._today(word) for word in args])
        found, left = super().parse_known_args(words, namespace)
        if unknown := [word for word in left if word.startswith("-")]:
            self.error(self._unknown(unknown[0].partition("=")[0]))
        if self._verb and getattr(found, self._verb) is None:
            self.print_help()
            self.exit()
        return found, left

    def error(self, message: str) -> NoReturn:
        """One sentence, and where there is more."""
        if message.startswith("argument -") and ": -" in message:
            message = message.partition(": ")[2]  # our own sentences name the option
        sentence = message if message.endswith((".", "?")) else f"{message}."
        self.exit(2, f"{self.prog}: {sentence} See {self.prog} --help\n")

    def _translated(self, words: list[str]) -> list[str]:
        try:
            return self.translate(words)
        except BadInput as error:
            self.error(str(error))

    def _today(self, word: str) -> str:
        name, equals, value = word.partition("=")
        return f"{self.older[name]}{equals}{value}" if name in self.older else word

    def _unknown(self, word: str) -> str:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return f"there is no option {word}.{meant(word, known, self.mistaken | self.older)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.dest == self._verb and action.choices and value not in action.choices:
            names = list(action.choices)
            listed = f"{self._verb.upper()} must be one of {', '.join(names)}, but is {value}."
            raise argparse.ArgumentError(None, listed + meant(str(value), names, self.mistaken))
        super()._check_value(action, value)


def meant(word: str, known: Sequence[str], others: Mapping[str, str] = MappingProxyType({})) -> str:
    """` Did you mean --detector?`, or nothing. `others`: words that mean one of those known."""
    near = next(iter(difflib.get_close_matches(word, [*known, *others], 1)), "")
    near = others.get(near, near)
    return f" Did you mean {near}?" if near else ""


def add(
    parser: Parser,
    *options: Option,
    title: str = "",
    several: bool = False,
    required: bool = False,
    count: int | str | None = None,
) -> None:
    """Options of the tables as options of the shell; their values stand under their names.

    `title`: of the group in the help. `several`: may be given again and again, for a list.
    `count`: so many words, or "+".
    """
    for option in options:
        how: dict[str, Any] = {"dest": option.name, "help": _help(option, required)}
        if option.kind == "switch":
            how["action"] = argparse.BooleanOptionalAction if option.default else "store_true"
        else:
            how |= {"type": _reader(option), "metavar": option.in_usage}
            if option.choices:
                how |= {"choices": option.choices, "metavar": None}
        if several:
            how["action"] = "append"
        if required:
            how["required"] = True
        if count is not None:
            how["nargs"] = count
        names = [option.short] if option.short else []
        parser.titled(title).add_argument(*names, option.in_shell, **how)
        # not as an argument: some releases of argparse would write it into the help by themselves
        parser.set_defaults(**{option.name: [] if several else option.default})
        parser.remember(option)


def _reader(option: Option) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return option.check(text, option.in_shell)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _help(option: Option, required: bool) -> str:
    notes = [option.limits] if option.limits else []
    if option.default_said and option.default is not False and not required:
        notes.append(f"default: {option.default_said}")
    text = option.help + (f" ({', '.join(notes)})" if notes else "")
    return text.replace("%", "%%")
