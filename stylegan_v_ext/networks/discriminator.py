"""One discriminator for sparse clips, conditioned on the time between frames (StyleGAN-V, section 3)."""

from typing import Any

import torch

from stylegan_v_ext.networks.discriminator_blocks import DiscriminatorBlock, DiscriminatorEpilogue
from stylegan_v_ext.networks.mapping import MappingNetwork
from stylegan_v_ext.networks.synthesis import check_resolution
from stylegan_v_ext.networks.time_encoding import TimeEncoding
from stylegan_v_ext.strip import sanitise_label, split_label, unpack_strip
from torch_utils import persistence

__all__ = ["TIME_CONDITIONINGS", "FrameJoin", "TimeConditionedDiscriminator"]

TIME_CONDITIONINGS = ("modulate", "project")


@persistence.persistent_class
class FrameJoin(torch.nn.Module):
    """Put the features of a clip's frames side by side, as channels of one picture.

    Args:
        num_frames: Number F of frames in a clip.
    """

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Join the frames.

        Args:
            x: Features of frames, `[N*F, C, h, w]`, the frames of a clip next to each other.

        Returns:
            Features of clips, `[N, F*C, h, w]`.
        """
        return x.unflatten(0, (-1, self.num_frames)).flatten(1, 2)


@persistence.persistent_class
class TimeConditionedDiscriminator(torch.nn.Module):
    """Tell real clips from generated ones by F frames and the times between them.

    Blocks above the resolution `concat_res` see single frames. At this resolution the frames' features, with half
    the channels each, are joined, and the remaining blocks see the clip. With F = 1 this is StyleGAN2's discriminator.

    Args:
        c_dim: Size of a label: K classes + num_frames.
        img_resolution: Width and height of a frame, a power of two from 8 on.
        img_channels: Channels of a frame.
        num_frames: Number F of frames in a clip.
        max_num_frames: Timestamps in labels are clamped below it.
        concat_res: Resolution at which frames are joined; at most half of the frame's resolution.
        time_conditioning: "project" projects the last features on the condition; "modulate" also modulates conv0 of
            every block by the condition.
        channel_base: Channels of a block times its resolution.
        channel_max: Largest number of channels.
        num_fp16_res: Number of the highest resolutions that compute in float16 on CUDA.
        conv_clamp: Largest absolute output of a layer; None is no bound.
        cmap_dim: Size of the condition; None takes the number of channels at 4x4.
        block_kwargs: Arguments of `DiscriminatorBlock`: `freeze_layers`.
        mapping_kwargs: Arguments of `MappingNetwork`: `num_layers`, `lr_multiplier`.
        epilogue_kwargs: Arguments of `DiscriminatorEpilogue`: `mbstd_group_size`, `mbstd_num_channels`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        num_frames: int = 3,
        max_num_frames: int = 1024,
        concat_res: int = 16,
        time_conditioning: str = "modulate",
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 4,
        conv_clamp: float | None = 256,
        cmap_dim: int | None = None,
        block_kwargs: dict[str, Any] | None = None,
        mapping_kwargs: dict[str, Any] | None = None,
        epilogue_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if time_conditioning not in TIME_CONDITIONINGS:
            raise ValueError(f"time_conditioning {time_conditioning!r} is not one of {', '.join(TIME_CONDITIONINGS)}")
        if c_dim < num_frames:
            raise ValueError(f"c_dim {c_dim} has no room for {num_frames} timestamps; it is classes + num_frames")
        log2_res = check_resolution(img_resolution)
        self.c_dim, self.img_resolution, self.img_channels = c_dim, img_resolution, img_channels
        self.num_frames, self.max_num_frames = num_frames, max_num_frames
        self.num_classes = c_dim - num_frames
        self.concat_res = min(concat_res, img_resolution // 2)
        self.block_resolutions = [2**i for i in range(log2_res, 2, -1)]
        channels = {res: min(channel_base // res, channel_max) for res in [*self.block_resolutions, 4]}
        fp16_from = max(2 ** (log2_res + 1 - num_fp16_res), 8)

        self.time = TimeEncoding(max_num_frames) if num_frames > 1 else None
        condition_in = self.num_classes + (self.time.out_dim * (num_frames - 1) if self.time is not None else 0)
        cmap_dim = (channels[4] if cmap_dim is None else cmap_dim) if condition_in else 0
        self.mapping = MappingNetwork(0, condition_in, cmap_dim, **(mapping_kwargs or {})) if condition_in else None
        self.join = FrameJoin(num_frames) if num_frames > 1 else None

        modulated = num_frames > 1 and time_conditioning == "modulate"
        in_channels, first_layer = 0, 0
        for res in self.block_resolutions:
            out_channels = channels[res // 2]
            joins = self.join is not None and res // 2 == self.concat_res
            if joins:
                out_channels //= 2
            block = DiscriminatorBlock(
                in_channels,
                channels[res],
                out_channels,
                img_channels=img_channels if res == img_resolution else 0,
                condition_dim=cmap_dim if modulated else None,
                use_fp16=res >= fp16_from,
                conv_clamp=conv_clamp,
                first_layer=first_layer,
                **(block_kwargs or {}),
            )
            setattr(self, f"b{res}", block)
            first_layer += block.num_layers
            in_channels = out_channels * num_frames if joins else out_channels
        self.b4 = DiscriminatorEpilogue(in_channels, channels[4], cmap_dim, conv_clamp, **(epilogue_kwargs or {}))

    def forward(
        self, img: torch.Tensor, c: torch.Tensor, update_emas: bool = False, force_fp32: bool = False
    ) -> torch.Tensor:
        """Compute the logits of clips.

        Args:
            img: Strips `[N, img_channels, F*H, W]`.
            c: Labels `[N, K + F]`.
            update_emas: Accepted for stock callers; nothing here keeps averages.
            force_fp32: Whether to compute in float32 on any device.

        Returns:
            Logits `[N, 1]`.

        Raises:
            ValueError: If a strip does not hold F square frames.
        """
        if img.shape[2] != self.num_frames * img.shape[3]:
            raise ValueError(
                f"a strip of size {img.shape[3]}x{img.shape[2]} does not hold {self.num_frames} square frames"
            )
        condition = self._condition(c.to(img.device, non_blocking=True))
        x = unpack_strip(img).flatten(0, 1)
        for res in self.block_resolutions:
            x = getattr(self, f"b{res}")(x, condition, force_fp32=force_fp32)
            if self.join is not None and res // 2 == self.concat_res:
                x = self.join(x)
        return self.b4(x, condition)

    def _condition(self, c: torch.Tensor) -> torch.Tensor | None:
        """Map the class part and the distances between frames to the condition `[N, cmap_dim]`."""
        if self.mapping is None:
            return None
        c = sanitise_label(c.to(torch.float32), self.num_classes, self.max_num_frames)
        classes, t = split_label(c, self.num_classes)
        return self.mapping(None, classes if self.time is None else torch.cat([classes, self.time(t)], dim=1))
