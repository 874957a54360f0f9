"""A checkout's augmentation pipe, applied to clips: every frame gets the same transform."""

import torch

from stylegan_v_ext.classes import construct
from stylegan_v_ext.strip import pack_strip, unpack_strip
from torch_utils import persistence


@persistence.persistent_class
class ClipAugmentPipe(torch.nn.Module):
    """Runs an image pipe over the frames of strips, repeating its random draws for each frame of a clip.

    Args:
        pipe_class: Path of the class of the pipe for images `[N, C, H, W]`.
        kwargs: Arguments of the pipe.
    """

    def __init__(self, pipe_class: str, **kwargs: object) -> None:
        super().__init__()
        self.pipe = construct("image augmentation of a host", {"class_name": pipe_class, **kwargs})

    @property
    def p(self) -> torch.Tensor:
        """Overall probability of the transforms, the buffer `[]` of the pipe, which training loops adapt."""
        return self.pipe.p

    def forward(self, strip: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """Transform strips; clips differ from one another, the frames of a clip do not.

        Args:
            strip: Clips `[N, C, F*H, W]` with H = W.
            kwargs: Arguments for the pipe.

        Returns:
            Transformed clips `[N, C, F*H, W]`.

        Raises:
            ValueError: If the strip does not divide into square frames.
        """
        frames = unpack_strip(strip).unbind(1)
        devices = [strip.device] if strip.device.type == "cuda" else []
        results = []
        for frame in frames[:-1]:
            with torch.random.fork_rng(devices):
                results.append(self.pipe(frame, **kwargs))
        results.append(self.pipe(frames[-1], **kwargs))
        return pack_strip(torch.stack(results, dim=1))
