"""Words of several rooms stand once, and a network is fed as its record says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import torch

from toonout_core import words
from toonout_core.words import NetworkInput

CORE = Path(words.__file__).parent
WORDS = {name for name in vars(words) if name[0].isupper()} - {"TYPE_CHECKING", "Any", "Literal"}


ROOT = CORE.parent
OLD = re.compile(
    r"\b(people|persons?)\b", re.IGNORECASE
)  # a user, a reader or a character is meant
PHOTOGRAPHED = ("synthesis", "training")  # COCO's category, and its pictures
# that category again, keys of other programs, and words that users search for
KEPT = {
    "comfy_nodes/segmenting.py", "comfy_nodes/sharing.py", "toonout_core/weights.py",
    "toonout_core/motion/puppet/pose_files.py", "toonout_core/motion/puppet/rig.py",
    "toonout_core/options/data_sets.py",
}  # fmt: skip


def redefined_in(source: str) -> list[str]:
    """Words of the ground floor that a module gives a meaning of its own."""
    return [
        node.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in WORDS
    ]


def test_words_stand_once():
    found = {
        path.name: again
        for path in CORE.rglob("*.py")
        if path.name != "words.py" and (again := redefined_in(path.read_text("utf-8")))
    }
    assert found == {}


def test_a_second_definition_is_seen():
    assert redefined_in("Array = npt.NDArray[Any]\nFit: TypeAlias = str") == ["Array", "Fit"]


def test_code_speaks_of_users_and_characters():
    paths = [
        path.relative_to(ROOT)
        for top in ("toonout_core", "comfy_nodes", "toonout_webui")
        for path in (ROOT / top).rglob("*.py")
        if OLD.search(path.read_text("utf-8"))
    ]
    assert {path.as_posix() for path in paths if path.parts[1] not in PHOTOGRAPHED} == KEPT


def test_a_network_is_fed_values_around_its_mean():
    fed = NetworkInput(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    image = torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    assert fed.normalise(image).flatten(2)[1, :, 7].tolist() == [1.0, 1.0, 0.25]
    assert image.flatten(2)[1, :, 7].tolist() == [1.0, 0.5, 0.25]
    assert torch.equal(fed.normalise(image * 255, white=255), fed.normalise(image))
