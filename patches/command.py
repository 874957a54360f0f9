"""The checkout's own scripts: our torch_utils and dnnlib come first, and `train.py` knows our models.

Only `apply` writes this patch; `stylegan_v_ext.host` does the same in memory.
"""

from patches.patch import Edit, Patch

_SCRIPTS = ("calc_metrics.py", "gen_images.py", "gen_video.py", "generate.py", "projector.py", "style_mixing.py")
_ENTER = "from stylegan_v_ext import host as _host; _host.enter_script(__file__)  # added by `python -m patches`"
# Matches comments, the docstring, and whatever stands before the first import.
_FIRST_IMPORT = (
    r"\A(\ufeff?(?:[ \t]*(?:#[^\n]*)?\n)*(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?''')?(?:[^\n]*\n)*?)"
    r"(?=import \w|from (?!__future__)[\w.]+ import )"
)


PATCH = Patch(
    name="command",
    symptom="Error: Invalid value for '--cfg': 'stylegan-v' is not one of ...",
    versions="all; written by `apply` alone",
    reason="makes `python train.py --cfg=stylegan-v` inside a checkout the same as `train.py --host` here",
    needed=lambda: True,
    only_written=True,
    edits=(
        *(Edit(script, _FIRST_IMPORT, rf"\1{_ENTER}\n") for script in ("train.py", *_SCRIPTS)),
        Edit(
            "train.py",
            r"(['\"]--cfg['\"][^@]*?click\.Choice\(\[)",
            r"\1'stylegan-v', 'stylegan-v-cvpr', 'stylegan-v-lstm', ",
        ),
    ),
)
