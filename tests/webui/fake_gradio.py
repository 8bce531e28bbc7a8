"""As much of gradio as the WebUI's pages need, in either generation, refusing what that one would.

The real gradio is tried by test_real_gradio.py, where it is there.
"""

from __future__ import annotations

from types import ModuleType

COMMON = {
    "value", "label", "info", "elem_id", "elem_classes", "visible", "interactive", "show_label",
    "choices", "multiselect", "max_lines", "precision", "minimum", "maximum", "step", "variant",
    "open", "equal_height", "type", "image_mode", "height", "analytics_enabled",
    "object_fit",
}  # fmt: skip
OF_3 = {"source", "tool"}
OF_4 = {"format", "sources"}


class Error(Exception):
    """What gradio shows as a toast."""


def make(version: str) -> ModuleType:
    """A module that says it is gradio of that version, and notes components in `made`."""
    module = ModuleType("gradio")
    fourth = version.startswith("4")
    made: list[Component] = []

    class Component:
        accepted = COMMON | (OF_4 if fourth else OF_3)

        def __init__(self, *values, **arguments):
            unknown = set(arguments) - self.accepted
            if unknown:
                raise TypeError(f"{type(self).__name__} knows no {unknown} in gradio {version}")
            self.arguments = arguments
            self.value = arguments.get("value", values[0] if values else None)
            self.elem_id = arguments.get("elem_id")
            self.elem_classes = arguments.get("elem_classes", [])
            self.label = arguments.get("label")
            self.events: list[dict] = []
            made.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def _listen(self, fn=None, inputs=None, outputs=None, **arguments):
            wrong = "_js" if fourth else "js"
            assert wrong not in arguments, f"gradio {version} knows no {wrong}"
            self.events.append({"fn": fn, "inputs": inputs, "outputs": outputs, **arguments})
            return self

        click = change = then = success = _listen

    names = (
        "Blocks", "Row", "Column", "Group", "Tabs", "TabItem", "Accordion", "HTML", "Button",
        "Image", "Gallery", "Textbox", "Checkbox", "CheckboxGroup", "Dropdown", "Radio", "Slider",
        "Number", "Files", "State",
    )  # fmt: skip
    for name in names:
        setattr(module, name, type(name, (Component,), {}))
    module.__version__ = version
    module.Component = Component
    module.Error = Error
    module.made = made
    module.update = lambda **changes: {"__type__": "update", **changes}
    return module
