"""Networks that cannot be used here: their names, the reasons, and remedies.

A network is recognised by the names and shapes of its tensors; no code of the file is run.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stylegan_v_ext.checkpoints.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]
_MAX_LOOKED_AT = 3_000  # names of tensors; the largest networks have about 3,000
_INSTEAD_OF_IMAGES = "make pictures with its own code; a video model starts from a StyleGAN2 image model"
_INSTEAD_OF_VIDEOS = "make videos with its own code, or train here on its data"


@dataclass(frozen=True)
class Family:
    """A kind of networks that cannot be used.

    Attributes:
        name: Name of the kind, with its article.
        names: Patterns, separated by ` & `; the name of some tensor matches each of them.
        reason: Why it cannot be used.
        remedy: Advice for the user.
        facts: Returns what its tensors tell, for the message; None if they tell nothing.
    """

    name: str
    names: str
    reason: str
    remedy: str
    facts: Callable[[Shapes], str] | None = None

    def matches(self, listing: str) -> bool:
        """Return whether a list of names, one on each line, is of this family."""
        return all(re.search(part, listing, re.MULTILINE) for part in self.names.split(" & "))

    def sentence(self, shapes: Shapes) -> str:
        """Say in one sentence what the network is, why it cannot be used, and what to do."""
        facts = self.facts(shapes) if self.facts else ""
        return f"{self.name}{facts and f' ({facts})'}, which is not read: {self.reason}; {self.remedy}"


def refuse(shapes: Shapes) -> None:
    """Refuse networks that cannot be used.

    Args:
        shapes: Shapes of all tensors, by name.

    Raises:
        CheckpointError: If the tensors are of a known family that cannot be used; the message is one sentence.
    """
    family = find_family(shapes)
    if family is not None:
        raise CheckpointError(family.sentence(shapes))
    _refuse_other_pictures(shapes)
    _refuse_other_architectures(shapes)


def find_family(shapes: Shapes) -> Family | None:
    """Return the family of some tensors, given their shapes by name; None if it is not in the table."""
    listing = "\n".join(name for name, _ in zip(shapes, range(_MAX_LOOKED_AT), strict=False))
    return next((family for family in FAMILIES if family.matches(listing)), None)


def _classes(shapes: Shapes) -> str:
    """Say how many classes a model has that keeps an average w, or a row of a table, for each class."""
    average = _shape(shapes, "mapping.w_avg")
    table = average if len(average) == 2 else _shape(shapes, "embed.weight")
    return f"{table[0]} classes" if len(table) == 2 else ""


def _shape(shapes: Shapes, ending: str) -> tuple[int, ...]:
    return next((tuple(shape) for name, shape in shapes.items() if name.endswith(ending)), ())


def _refuse_other_pictures(shapes: Shapes) -> None:
    """Raise `CheckpointError` unless the pictures of a generator are square, with a power of two of pixels."""
    first = _shape(shapes, "synthesis.b4.const")[-2:] or _shape(shapes, "input.input")[-2:]
    if len(first) < 2 or first == (4, 4):
        return
    blocks = [int(number) for name in shapes for number in re.findall(r"\bb([0-9]{1,5})\.", name)]
    octaves = [int(number) for name in shapes for number in re.findall(r"\bto_rgbs\.([0-9]{1,2})\.", name)]
    times = max(blocks, default=4 << (max(octaves, default=-1) + 1)) // 4
    raise CheckpointError(
        f"a StyleGAN2 generator of {first[1] * times}x{first[0] * times} pixels (it begins at {first[1]}x{first[0]}), "
        "which is not read: pictures here are square, with a power of two of pixels, and begin at 4x4; train a square "
        "model, or make pictures with its own code"
    )


def _refuse_other_architectures(shapes: Shapes) -> None:
    """Raise `CheckpointError` for StyleGAN2 networks whose architecture differs from that of the published models."""
    found = (re.fullmatch(r"synthesis\.b([0-9]{1,5})\.conv0\.weight", name) for name in shapes)
    blocks = sorted({int(match[1]) for match in found if match})
    if blocks and "synthesis.b4.const" in shapes:
        silent = [size for size in (4, *blocks) if f"synthesis.b{size}.torgb.weight" not in shapes]
        shortcut = [size for size in blocks if f"synthesis.b{size}.skip.weight" in shapes]
        if silent or shortcut:
            kind = "resnet" if shortcut else "orig"
            where = f"a shortcut at {shortcut[0]} px" if shortcut else f"no ToRGB at {silent[0]} px"
            raise CheckpointError(
                f"a StyleGAN2 generator without the skip architecture ({kind}: {where}), which is not read: the "
                f"published models sum pictures of all resolutions; {_INSTEAD_OF_IMAGES}"
            )


_MANY_STEPS = "it makes pictures in many steps, not from one latent"
_DATA = "make videos or pictures with its own tools; `stylegan-v data convert` takes them"
_NO_STYLES = "its layers know no styles"
_CONVERTED = "give the file that it was converted from"

FAMILIES = (
    Family(
        "a LoRA", r"(^|[._])lora_(up|down|A|B|unet|te)", "it holds changes to a diffusion model, and no network", _DATA
    ),
    Family("a diffusion model", r"(^|\.)diffusion_model\.", _MANY_STEPS, _DATA),
    Family(
        "a part of a diffusion model",
        r"(^|\.)(time_embedding\.linear_1|time_embed\.0|(double|joint|transformer)_blocks\.0|(first|cond)_stage_model|"
        r"control_model|text_model\.encoder|decoder\.up(_blocks)?\.0)\.|adaLN_modulation|adaln_single",
        _MANY_STEPS,
        _DATA,
    ),
    Family(
        "a MoStGAN-V network",
        r"(^|\.)multimotionmap\.|\.conv[01]\.hypernet\.",
        "its motion styles change the weights of its layers",
        _INSTEAD_OF_VIDEOS,
    ),
    Family(
        "a StyleSV network",
        r"synthesis\.(motion_mask|affine_w\.|input\.motion_affine\.)",
        "its motion goes into every layer of a StyleGAN3 network",
        _INSTEAD_OF_VIDEOS,
    ),
    Family(
        "a DIGAN network",
        r"coord_fuser\.",
        "it computes pixels from their coordinates, without convolutions",
        _INSTEAD_OF_VIDEOS,
    ),
    Family(
        "a MoCoGAN+SG2 network of the StyleGAN-V release",
        r"motion_encoder\.(rnn|lstm)\.|^video_",
        "its motion is that of a recurrent network, and it has two discriminators",
        _INSTEAD_OF_VIDEOS,
    ),
    Family(
        "an EG3D network",
        r"(^|\.)backbone\.(synthesis|mapping)\. & (^|\.)superresolution\.",
        "it renders a volume from a camera",
        _INSTEAD_OF_IMAGES,
    ),
    Family("a StyleGAN-T network", r"\.affine\.proj\.", "a text drives its layers", _INSTEAD_OF_IMAGES),
    Family(
        "a StyleGAN-XL network",
        r"mapping\.embed_proj\.",
        "its mapping network looks classes up in a table and has an average w for each",
        _INSTEAD_OF_IMAGES,
        _classes,
    ),
    Family(
        "a discriminator of Projected GAN or StyleGAN-XL",
        r"(^|\.)(feature_networks?|mini_discs)\.",
        "it judges the features of another network",
        "training begins with a new discriminator",
    ),
    Family(
        "a FastGAN network", r"(^|\.)feat_8\. & (^|\.)(se_64|to_big|to_128|feat_16)\.", _NO_STYLES, _INSTEAD_OF_IMAGES
    ),
    Family(
        "a BigGAN network",
        r"(^|\.)(gen_z|output_layer)\. & (^|\.)(blocks\.0\.0|layers\.0)\.",
        _NO_STYLES,
        _INSTEAD_OF_IMAGES,
    ),
    Family(
        "a StyleGAN1 network",
        r"(^|\.)(g_synthesis|g_mapping)\.|(^|\.)progression\.[0-9]|/StyleMod/",
        "its layers scale and shift activations, not weights",
        _INSTEAD_OF_IMAGES,
    ),
    Family(
        "a network of lucidrains' stylegan2-pytorch",
        r"\.to_style1\.",
        "it enlarges pictures and treats latents in another way than StyleGAN2",
        _INSTEAD_OF_IMAGES,
    ),
    Family(
        "a GFPGAN network",
        r"(^|\.)stylegan_decoder\.",
        "it repairs a photo of a face and makes no photo by itself",
        _INSTEAD_OF_IMAGES,
    ),
    Family(
        "a StyleGAN2 network of BasicSR",
        r"(^|\.)style_convs?[0-9.]+modulated_conv\.",
        "its layers have other names, in one variant other scales",
        _CONVERTED,
    ),
    Family(
        "a StyleGAN2 network of MMGeneration",
        r"style_modulation\.fc\.|constant_input\.const$",
        "its layers have other names and scales",
        _CONVERTED,
    ),
    Family(
        "a network of GenForce",
        r"(^|\.)synthesis\.layer0\.|(^|\.)truncation\.w_avg",
        "its layers have other names and scales",
        _CONVERTED,
    ),
)
