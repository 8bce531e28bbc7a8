"""What the pack leans on in ComfyUI, as parameter names; run in a checkout it records them.

cd COMFYUI_PATH && COMFYUI_PYTHON …/tests/comfy/contract.py > …/tests/comfy/contract_<release>.json
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path

CALLED = {
    "folder_paths": [
        "add_model_folder_path",
        "get_filename_list",
        "get_folder_paths",
        "get_full_path",
        "get_input_directory",
        "get_output_directory",
        "get_save_image_path",
        "get_temp_directory",
    ],
    "comfy.model_management": [
        "free_memory",
        "get_torch_device",
        "load_models_gpu",
        "should_use_fp16",
        "soft_empty_cache",
        "throw_exception_if_processing_interrupted",
        "unload_all_models",
        "unet_offload_device",
    ],
    "comfy.model_patcher": ["ModelPatcher"],
    "comfy.utils": ["ProgressBar", "ProgressBar.update_absolute"],
    "comfy_api.latest": [
        "io.NodeOutput",
        "io.Schema",
        "io.Image.Input",
        "io.Image.Output",
        "io.Mask.Input",
        "io.Mask.Output",
        "io.Video.Input",
        "io.Video.Output",
        "InputImpl.VideoFromComponents",
        "InputImpl.VideoFromComponents.get_components",
        "InputImpl.VideoFromComponents.get_dimensions",
        "InputImpl.VideoFromFile",
        "InputImpl.VideoFromFile.get_dimensions",
        "InputImpl.VideoFromFile.get_stream_source",
        "Types.VideoComponents",
        "io.Int.Input",
        "io.Float.Input",
        "io.String.Input",
        "io.String.Output",
        "io.Boolean.Input",
        "io.Combo.Input",
        "ui.PreviewImage",
        "ui.PreviewVideo",
        "ui.SavedImages",
        "ui.SavedResult",
    ],
}


def parameters() -> dict[str, dict[str, bool]]:
    """Dotted name → parameter → whether it must be given, in whatever host is importable."""
    found: dict[str, dict[str, bool]] = {}
    for module, names in CALLED.items():
        for name in names:
            target = importlib.import_module(module)
            for part in name.split("."):
                target = getattr(target, part)
            function = target.__init__ if inspect.isclass(target) else target
            given = inspect.signature(function).parameters.values()
            found[f"{module}.{name}"] = {
                item.name: item.default is item.empty and item.kind is item.POSITIONAL_OR_KEYWORD
                for item in given
                if item.name != "self"
            }
    return found


def main() -> None:
    sys.argv = [sys.argv[0], "--cpu"]
    sys.path.insert(0, str(Path.cwd()))
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfyui_version

    record = {
        "comfyui": comfyui_version.__version__,
        "parameters": parameters(),
    }
    sys.stdout.write(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
