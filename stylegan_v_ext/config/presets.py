"""Presets: the parts that `--cfg` chooses, as one table. A new model is a new row."""

from typing import NamedTuple


class Preset(NamedTuple):
    """What a preset chooses; everything else has an option of its own.

    Attributes:
        summary: A few words about the model.
        num_frames: Frames of a clip unless --num-frames says otherwise; 1 for an image model, which takes no other
            number.
        strategy: How motion codes are made of motion noise, "conv" or "lstm" (StyleGAN-V, section 3).
        amplitude: Whether the amplitudes of the positional encoding are learned (StyleGAN-V, section 3).
        time_conditioning: How the distances in time enter the discriminator: "modulate" its layers (StyleGAN-V,
            section 3), or "project" its last features alone.
        use_noise: Whether the generator adds noise to pixels (StyleGAN2).
    """

    summary: str
    num_frames: int = 3
    strategy: str = "conv"
    amplitude: bool = True
    time_conditioning: str = "modulate"
    use_noise: bool = False

    @property
    def makes_images(self) -> bool:
        """Whether the model makes single frames and not videos."""
        return self.num_frames == 1


PRESETS = {
    "stylegan-v": Preset(summary="StyleGAN-V: learned amplitudes, discriminator modulated by time distances"),
    "stylegan-v-cvpr": Preset(
        summary="as the code released with the paper: no amplitudes, projection only",
        amplitude=False,
        time_conditioning="project",
    ),
    "stylegan-v-lstm": Preset(
        summary="baseline: an LSTM over the motion noise in place of convolutions",
        strategy="lstm",
    ),
    "stylegan2": Preset(
        summary="image GAN on single frames (num_frames = 1)",
        num_frames=1,
        use_noise=True,
    ),
}
"""Models by the name that `--cfg` takes."""
IMAGE_PRESETS = tuple(name for name, preset in PRESETS.items() if preset.makes_images)
