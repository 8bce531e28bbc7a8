"""The tab "ToonOut"."""

from __future__ import annotations

from typing import Any

import gradio as gr

from . import tab_characters, tab_clip, tab_folder, tab_models, tab_motion, tab_picture


def on_ui_tabs() -> list[tuple[Any, str, str]]:
    """Called by the host when it makes the page: blocks, title, id."""
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Tabs():
        with gr.TabItem("Picture", elem_id="toonout_tab_picture"):
            tab_picture.build()
        with gr.TabItem("Characters", elem_id="toonout_tab_characters"):
            tab_characters.build()
        with gr.TabItem("Folder", elem_id="toonout_tab_folder"):
            tab_folder.build()
        with gr.TabItem("Clip", elem_id="toonout_tab_clip"):
            tab_clip.build()
        with gr.TabItem("Motion", elem_id="toonout_tab_motion"):
            tab_motion.build()
        with gr.TabItem("Models", elem_id="toonout_tab_models"):
            tab_models.build()
    return [(blocks, "ToonOut", "toonout_tab")]
