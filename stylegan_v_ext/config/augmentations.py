"""Sets of augmentations by the names that `--augpipe` takes (StyleGAN2-ADA, section 2 and figure 4)."""

_BLIT = ("xflip", "rotate90", "xint")
_GEOM = ("scale", "rotate", "aniso", "xfrac")
_COLOR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
_BY_LETTER = {"b": _BLIT, "g": _GEOM, "c": _COLOR, "f": ("imgfilter",), "n": ("noise",)}

AUGMENTATIONS: dict[str, dict[str, float]] = {
    "blit": dict.fromkeys(_BLIT, 1),
    "geom": dict.fromkeys(_GEOM, 1),
    "color": dict.fromkeys(_COLOR, 1),
    "filter": {"imgfilter": 1},
    "noise": {"noise": 1},
    "cutout": {"cutout": 1},
    **{
        letters: {name: 1 for letter in letters for name in _BY_LETTER[letter]}
        for letters in ("b", "bg", "bgc", "bgcf", "bgcfn")
    },
}
AUGMENTATIONS["bgcfnc"] = {**AUGMENTATIONS["bgcfn"], "cutout": 1}
"""Strength of each transform, which are the arguments of `engine.augment.AugmentPipe`."""

TRANSFORMS = tuple(AUGMENTATIONS["bgcfnc"])
"""Names of all transforms."""
