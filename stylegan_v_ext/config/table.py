"""The table of all options of a training: `python -m stylegan_v_ext.config.table > docs/options.md`."""

import dataclasses
import math

from stylegan_v_ext.config.fields import GROUPS, Setting, option_name, setting_of
from stylegan_v_ext.config.kinds import kind_of
from stylegan_v_ext.config.options import TrainOptions
from stylegan_v_ext.config.presets import PRESETS

_HEAD = """# Options of a training

This page is made by `python -m stylegan_v_ext.config.table`; change `stylegan_v_ext/config/options.py` instead.

`train.py` takes every option as `--name=value`, and `stylegan_v_ext.TrainOptions` takes it as a keyword argument with
`_` for `-`. A switch takes `1` or `0`; without a value it is `1`. `train.py --help` shows the common options and
`train.py --help-all` the rare ones, too.

The last column says whether the option may have another value when a run goes on (`--resume=DIR`): "yes", "no", or
"ignored" for an option that acts only when a run begins. A kimg is a thousand clips.
"""


def table() -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD, _presets()]
    for group in GROUPS:
        fields = [field for field in dataclasses.fields(TrainOptions) if setting_of(field).group == group]
        parts.append(f"## {group}\n\n{_rows(fields)}")
    return "\n".join(parts)


def _presets() -> str:
    lines = [
        "## Presets",
        "",
        "| Preset | Model | Frames | Motion codes | Amplitudes | Time in the discriminator | Noise |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, preset in PRESETS.items():
        motion: list[object] = ["", "", ""]
        if not preset.makes_images:
            motion = [preset.strategy, "learned" if preset.amplitude else "no", preset.time_conditioning]
        cells: list[object] = [
            f"`{name}`",
            preset.summary,
            preset.num_frames,
            *motion,
            "yes" if preset.use_noise else "no",
        ]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _rows(fields: list[dataclasses.Field]) -> str:
    lines = ["| Option | Default | Unit | Bounds | What it does | Goes on |", "|---|---|---|---|---|---|"]
    for field in fields:
        facts = setting_of(field)
        names = [option_name(field), *(f"--{alias}" for alias in facts.aliases)]
        option = ", ".join(f"`{name}`" for name in names) + (" (rare)" if facts.rare else "")
        lines.append(_line([option, _default(field), facts.unit, _bounds(field), f"{facts.help}.", _goes_on(facts)]))
    return "\n".join(lines) + "\n"


def _line(cells: list[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _default(field: dataclasses.Field) -> str:
    facts = setting_of(field)
    if facts.default_text:
        return facts.default_text
    if facts.needed:
        return "needed" if field.default is dataclasses.MISSING else f"needed; {field.default} from Python"
    if field.default in (None, ()):
        return "none"
    if isinstance(field.default, bool):
        return str(int(field.default))
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _bounds(field: dataclasses.Field) -> str:
    facts = setting_of(field)
    if facts.choices:
        return ", ".join(facts.choices)
    if kind_of(field.type).base is bool:
        return "0, 1"
    low = "" if facts.low is None else f"{facts.low:.10g}"
    if facts.high is None or facts.high == math.inf:
        if not low:
            return ""
        return f"more than {low}" if facts.open_low else f"{low} or more"
    return f"{low} to {facts.high:.10g}"


def _goes_on(facts: Setting) -> str:
    if facts.begins:
        return "ignored"
    return "yes" if facts.may_change else "no"


if __name__ == "__main__":
    print(table(), end="")
