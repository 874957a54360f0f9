"""Requests to the functions of this package: plain values, which the command line fills in too."""

from collections.abc import Sequence
from dataclasses import dataclass

from stylegan_v_ext.arguments import MOST_SEEDS, Bounds, check_fields

METHODS = ("latent", "global")
SPACES = ("w", "w+")
LOSSES = ("auto", "vgg16", "pixels")
_COUNT: Bounds = (1, None)
_NOT_NEGATIVE: Bounds = (0, None)
_SEED: Bounds = (0, MOST_SEEDS - 1)
_SMALLEST = 1e-9  # numbers above 0 start here
DEFAULT_CLIP_MODEL = "openai/clip-vit-base-patch32"
NEUTRAL = "a picture"
"""Text that "global" edits go away from if there is no neutral text."""


@dataclass(frozen=True, kw_only=True)
class ProjectRequest:
    """How a clip is projected.

    Attributes:
        frames: How many frames of the clip are used; None for all.
        skip: Frames at the beginning of the clip that are left out.
        fps: Frames a second that the clip is resampled to, best the rate of the training data; None for its own rate.
        start: Time that the first frame gets, in frames of the training data.
        class_index: Class of a conditional network; None for a network without classes.
        space: "w" for one w for all layers (closer to what the network knows, easier to edit), "w+" for a w for each
            layer (closer to the clip).
        steps: Steps of descent, after a race between the closest random videos.
        candidates: Random videos that are compared with the clip first.
        loss: "vgg16", "pixels", or "auto" for VGG16 if its file is there or can be downloaded, else pixels.
        chunk: Frames that a step looks at; fewer frames take less memory.
        motion_reg: Weight of the squared motion noise; a larger weight stays closer to learned motions.
        w_reg: Weight of the squared distance of w from its mean; a larger weight stays closer to learned contents.
        tune: Steps in which the network itself is then fitted to the clip (pivotal tuning); 0 for no tuning.
        seed: Seed of all that is random.
    """

    frames: int | None = None
    skip: int = 0
    fps: float | None = None
    start: float = 0.0
    class_index: int | None = None
    space: str = "w+"
    steps: int = 1000
    candidates: int = 128
    loss: str = "auto"
    chunk: int = 8
    motion_reg: float = 1e-4
    w_reg: float = 1e-4
    tune: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        bounds: dict[str, Bounds] = dict.fromkeys(("steps", "candidates", "chunk"), _COUNT)
        bounds |= dict.fromkeys(("skip", "start", "class_index", "motion_reg", "w_reg", "tune"), _NOT_NEGATIVE)
        bounds |= {"frames": (2, None), "fps": (_SMALLEST, None), "seed": _SEED}
        check_fields(self, bounds, {"space": SPACES, "loss": LOSSES})


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """How videos are edited.

    Attributes:
        motion_seed: Motion of the videos that seeds name; None for a motion that follows from each content.
        class_index: Class of a conditional network; None for a network without classes.
        neutral: What the videos look like now; edits go from there to the prompt. None for no text.
        method: "latent" moves w by descent, for each video anew; "global" goes along a direction in style space, the
            same for all videos.
        model: A CLIP model: a folder, or an id of the Hugging Face hub.
        steps: Steps of descent of "latent".
        lr: Learning rate of "latent"; a larger rate goes further.
        identity: Weight of coarse changes of "latent"; a larger weight keeps what is seen recognisable.
        locality: Weight of changed pixels of "latent"; a larger weight changes fewer pixels.
        strength: How far "global" goes, in standard deviations of the most relevant channel; below 0 for the opposite.
        disentangle: "global" leaves out channels below that share of the largest relevance.
        relevance: File of "global" for what the channels do, made if it does not exist; None for a file in the cache.
        relevance_images: Random videos that it is measured on.
        save_network: Whether "global" also writes each edit as a network of its own.
        frames: Length of the MP4s in frames.
        seed: Seed of all that is random.
    """

    motion_seed: int | None = None
    class_index: int | None = None
    neutral: str | None = None
    method: str = "latent"
    model: str = DEFAULT_CLIP_MODEL
    steps: int = 100
    lr: float = 0.05
    identity: float = 0.1
    locality: float = 0.1
    strength: float = 5.0
    disentangle: float = 0.3
    relevance: str | None = None
    relevance_images: int = 16
    save_network: bool = False
    frames: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        bounds: dict[str, Bounds] = dict.fromkeys(("steps", "frames"), _COUNT)
        bounds |= dict.fromkeys(("class_index", "identity", "locality"), _NOT_NEGATIVE)
        bounds |= {"lr": (_SMALLEST, None), "disentangle": (0, 1), "relevance_images": (1, 1024)}
        bounds |= {"seed": _SEED, "motion_seed": _SEED}
        check_fields(self, bounds, {"method": METHODS})


@dataclass(frozen=True, kw_only=True)
class SwapRequest:
    """Which layers of image models go into a video generator, and how.

    Attributes:
        splits: Resolution from which layers are taken, such as "32", or a range such as "8-16"; one value for all image
            models, or a value for each.
        takes: "fine" for layers from the split on (colours, texture), "coarse" for layers below it (layout); one
            value for all image models, or a value for each.
        widths: Width of a gradual change in layer positions, 0 for a step; one value for all image models, or a
            value for each.
        mapping: Whose mapping network makes w: "video", or "image" for the first image model.
        noise: "drop" leaves out noise inputs that the video model has not; "keep" takes them along.
        preview: Whether to write a video beside the snapshot: columns are the models and the result, rows are seeds.
        seeds: Content seeds of the preview.
        class_index: Class for the preview of conditional models; None for models without classes.
    """

    splits: Sequence[str]
    takes: Sequence[str] = ("fine",)
    widths: Sequence[float] = (0.0,)
    mapping: str = "video"
    noise: str = "drop"
    preview: bool = False
    seeds: Sequence[int] = (0, 1, 2, 3)
    class_index: int | None = None

    def __post_init__(self) -> None:
        bounds = {"widths": _NOT_NEGATIVE, "seeds": _SEED, "class_index": _NOT_NEGATIVE}
        choices = {"takes": ("fine", "coarse"), "mapping": ("video", "image"), "noise": ("drop", "keep")}
        check_fields(self, bounds, choices)
