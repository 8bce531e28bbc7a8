"""What runs on the machines of a Ray cluster: pictures come as bytes, and results go back as such.

Nothing is read from or written to a shared folder, so the machines need none.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from ..errors import ToonOutError
from .cutting import make_cut, output_of
from .folder_run import shrink_to

_STEM = "x"  # of every result here; whoever has asked gives the name


@dataclass(frozen=True)
class Asked:
    """A picture: where it lies at home, and its bytes."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Answer:
    """What became of a picture. `files`: endings that follow its name, and their bytes.

    `message`: why it failed; `fatal`: why no other picture would fare better.
    """

    files: tuple[tuple[str, bytes], ...] = ()
    message: str = ""
    fatal: str = ""
    notes: tuple[str, ...] = ()
    details: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0


class Cutter:
    """One actor: keeps its model. `files`: option → name and content of a file that it names."""

    def __init__(self, options: Mapping[str, Any], files: Mapping[str, tuple[str, Any]]) -> None:
        import ray  # pyright: ignore[reportMissingImports]

        self._folder = Path(tempfile.mkdtemp(prefix="toonout-"))
        self.arguments = argparse.Namespace(**options)
        self.arguments.quiet = True
        for option, (name, content) in files.items():
            path = self._folder / option / name
            path.parent.mkdir()
            path.write_bytes(ray.get(content))
            setattr(self.arguments, option, str(path))
        self._output = output_of(self.arguments)
        self._make_cut = cache(lambda: make_cut(self.arguments))

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def cut(self, pictures: list[Asked]) -> list[Answer]:
        """One answer for each."""
        return [self._one(picture) for picture in pictures]

    def _one(self, asked: Asked) -> Answer:
        from ..output.batch import Batch
        from ..output.destination import Destination
        from ..output.naming import Source

        with tempfile.TemporaryDirectory(dir=self._folder) as place:
            path, out = Path(place) / f"picture{PurePath(asked.path).suffix}", Path(place) / "out"
            path.write_bytes(asked.content)
            destination = Destination(out, [Source(path, PurePath(_STEM))], settings={})
            pixels = shrink_to(self.arguments)
            batch = Batch(destination, self._make_cut, self._output, shrink_to=pixels)
            try:
                (result,) = batch.run()
            except ToonOutError as error:
                return Answer(fatal=str(error).replace(str(path), asked.path))
            return Answer(
                tuple((p.name.removeprefix(_STEM), p.read_bytes()) for p in result.outputs),
                message=result.message.replace(str(path), asked.path),
                notes=result.notes,
                details=result.details,
                seconds=result.seconds,
            )
