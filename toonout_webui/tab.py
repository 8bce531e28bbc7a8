"""The tab "ToonOut"."""

from __future__ import annotations

from typing import Any

import gradio as gr

from . import tab_characters, tab_clip, tab_folder, tab_models, tab_motion, tab_picture

_TABS = {
    "picture": tab_picture,
    "characters": tab_characters,
    "folder": tab_folder,
    "clip": tab_clip,
    "motion": tab_motion,
    "models": tab_models,
}


def on_ui_tabs() -> list[tuple[Any, str, str]]:
    """Called by the host when it makes the page: blocks, title, id."""
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Tabs():
        for name, tab in _TABS.items():
            with gr.TabItem(name.capitalize(), elem_id=f"toonout_tab_{name}"):
                tab.build()
    return [(blocks, "ToonOut", "toonout_tab")]
