"""Changing what a trained generator makes: real clips, texts, layers of other models, directions.

Each function is what the command of its name calls:

    latents = project("faces.pkl", "clip.mp4", output="projection")
    edit("faces.pkl", "a smiling face", projections=["projection/projection.npz"], output="edits")
    swap_layers("faces.pkl", ["cartoon.pkl"], request=SwapRequest(splits=["32"]), output="toon.pkl")
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = [
    "EditRequest",
    "ProjectRequest",
    "SwapRequest",
    "edit",
    "find_directions",
    "project",
    "swap_layers",
]

if TYPE_CHECKING:
    from stylegan_v_ext.editing.directions import find_directions
    from stylegan_v_ext.editing.project_clip import project
    from stylegan_v_ext.editing.requests import EditRequest, ProjectRequest, SwapRequest
    from stylegan_v_ext.editing.swap_files import swap_layers
    from stylegan_v_ext.editing.text_edit import edit
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "EditRequest": "stylegan_v_ext.editing.requests",
            "ProjectRequest": "stylegan_v_ext.editing.requests",
            "SwapRequest": "stylegan_v_ext.editing.requests",
            "edit": "stylegan_v_ext.editing.text_edit",
            "find_directions": "stylegan_v_ext.editing.directions",
            "project": "stylegan_v_ext.editing.project_clip",
            "swap_layers": "stylegan_v_ext.editing.swap_files",
        },
    )
