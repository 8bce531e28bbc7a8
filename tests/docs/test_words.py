"""The pages are short whole sentences, and their links lead somewhere."""

from __future__ import annotations

import re
from statistics import mean

import pytest

from tests.docs.pages import HELP, PAGES, ROOT, sentences

MEAN_WORDS = 15
LONGEST_WORDS = 40


@pytest.mark.parametrize("page", (*PAGES, *HELP), ids=lambda page: page.name)
def test_sentences_are_short(page):
    lengths = {sentence: len(sentence.split()) for sentence in sentences(page)}
    assert mean(lengths.values()) <= MEAN_WORDS
    assert [text for text, words in lengths.items() if words > LONGEST_WORDS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", text):
        if "://" in link:
            continue
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor[1:] in {slug(head) for head in heads}, f"{link}{anchor}"


def slug(heading):
    """As GitHub makes the address of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_that_are_named_are_there(page):
    """Also in blocks that no test can run."""
    named = re.findall(r"\bexamples/[\w./-]*\w", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
