"""Every word of ours on the pages has its translations."""

from __future__ import annotations

import json

import pytest

from tests.webui.fake_host import ROOT, part

FILES = sorted((ROOT / "localizations").glob("*.json"))


def words(host):
    """Labels, hints and buttons of our pages and settings."""
    host.script.ToonOutExtras().ui()
    host.script.ToonOutGenerate().ui(False)
    host.call("before_ui")
    host.call("ui_tabs")
    found = {row.label for row in part("settings").settings()}
    found |= set(part("sending").LABELS.values())
    clip = part("tab_clip")
    found |= {*clip.HINTS, clip.WITH_AV, clip.WITHOUT_AV}
    for component in host.gradio.made:
        found |= {component.arguments.get("label"), component.arguments.get("info")}
        if type(component).__name__ in ("Button", "Accordion", "TabItem"):
            found.add(component.value)
    return {word for word in found if word and word != "ToonOut"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_translations_are_complete_and_nothing_more(host, path):
    translated = json.loads(path.read_text("utf-8"))
    assert set(translated) == words(host)
    assert all(translated.values())


def test_two_languages():
    assert {path.stem for path in FILES} >= {"ja_JP", "zh_CN"}
