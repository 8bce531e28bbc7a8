"""Tell what became of each picture of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

Status = Literal["done", "failed", "skipped", "resumed"]
NO_CHARACTER = "no character was found"  # how a note about that begins
VISIBLE = 0.5  # alpha that a picture with a character has somewhere

NameTaken = Literal["", "numbered", "replaced"]  # what was done about it


@dataclass(frozen=True)
class Result:
    """The result of one picture.

    `message` says why it failed; `notes` what is worth knowing; `details` what the run found out of
    each frame, for other programs.
    """

    source: Path
    status: Status
    outputs: tuple[Path, ...] = ()
    seconds: float = 0.0
    message: str = ""
    notes: tuple[str, ...] = ()
    taken: NameTaken = ""  # whether its name was
    details: tuple[dict[str, Any], ...] = ()


@dataclass
class Report:
    """All results of a run. `not_read`: files among the inputs that are no pictures."""

    results: list[Result] = field(default_factory=list[Result])
    interrupted: bool = False
    not_read: list[Path] = field(default_factory=list[Path])

    def count(self, status: Status) -> int:
        return Counter(result.status for result in self.results)[status]

    def count_empty(self) -> int:
        """Count the pictures that were done, and have nobody in any of their frames."""
        return sum(
            any(note.startswith(NO_CHARACTER) for note in result.notes)
            for result in self.results
            if result.status == "done"
        )

    @property
    def exit_code(self) -> int:
        """The exit code: 0 if all is done, 1 if some failed, 130 if interrupted."""
        return 130 if self.interrupted else int(self.count("failed") > 0)

    def sentence(self) -> str:
        """Spell one line for readers."""
        parts = [f"{self.count('done')} done"]
        parts += [f"{n} done before" for n in [self.count("resumed")] if n]
        parts += [f"{n} left out, as their results exist" for n in [self.count("skipped")] if n]
        taken = Counter(result.taken for result in self.results)
        parts += [
            f"{n} saved under a new number, as the name existed" for n in [taken["numbered"]] if n
        ]
        parts += [f"{n} replaced earlier results" for n in [taken["replaced"]] if n]
        parts += [f"{n} failed" for n in [self.count("failed")] if n]
        said = ", ".join(parts) + (", then interrupted." if self.interrupted else ".")
        empty = self.count_empty()
        return (
            said + (f" Without a character: {empty}." if empty else "") + self.not_read_sentence()
        )

    def not_read_sentence(self) -> str:
        """Say how many files were no pictures, and name the first of them; with a space
        before it.
        """
        if not self.not_read:
            return ""
        named = ", ".join(path.name for path in self.not_read[:3])
        more = ", …" if len(self.not_read) > 3 else ""
        return f" Not read, as they are no pictures: {len(self.not_read)} ({named}{more})."

    def as_json(self) -> dict[str, Any]:
        statuses: tuple[Status, ...] = ("done", "failed", "skipped", "resumed")
        return {
            "counts": {status: self.count(status) for status in statuses},
            "interrupted": self.interrupted,
            "pictures": [_as_json(result) for result in self.results],
            "not_read": [str(path) for path in self.not_read],
        }


def _as_json(result: Result) -> dict[str, Any]:
    values = asdict(replace(result, details=()))
    del values["details"]
    paths = [str(path) for path in result.outputs]
    return values | {"source": str(result.source), "outputs": paths}
