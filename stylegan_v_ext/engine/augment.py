"""Adaptive discriminator augmentation for video (StyleGAN2-ADA, section 2 and appendix B).

Every transform is drawn once per clip and applied to all its frames, so that augmentation never looks like motion.
Parameters are drawn on the CPU. So the pipe knows which clips need which step without a wait for the device, and clips
that no transform hits pass through unchanged. Only the parameters, a few numbers a clip, go to the device. Tensors as
large as a picture, such as sampling grids, are computed there.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from stylegan_v_ext.engine.augment_filters import BAND_POWER, SYM6, filter_each, octave_bands
from stylegan_v_ext.engine.augment_geometry import (
    centred,
    copy_pixels,
    differs_from_identity,
    rotation,
    sample_mirrored,
    sampling_grid,
    scaling,
    translation,
)
from stylegan_v_ext.strip import pack_strip, unpack_strip
from torch_utils import persistence
from torch_utils.ops import upfirdn2d

__all__ = ["AugmentPipe"]


@persistence.persistent_class
class AugmentPipe(torch.nn.Module):
    """Random transforms of strips `[N, 3, F*H, W]`. Each transform happens with probability p times its strength.

    p is the buffer that the training loop adapts. A strength of 0 switches a transform off, 1 is its full strength.

    Args:
        xflip: Strength of mirroring.
        rotate90: Strength of quarter turns.
        xint: Strength of shifts by whole pixels.
        xint_max: Largest such shift, as a fraction of the picture.
        scale: Strength of zoom.
        rotate: Strength of rotation.
        aniso: Strength of stretching along a random axis.
        xfrac: Strength of shifts by fractions of a pixel.
        scale_std: Standard deviation of log2 of the zoom.
        rotate_max: Largest rotation; 1 is a half turn.
        aniso_std: Standard deviation of log2 of the stretch.
        xfrac_std: Standard deviation of the shift, as a fraction of the picture.
        brightness: Strength of brightness.
        contrast: Strength of contrast.
        lumaflip: Strength of the inversion of luma.
        hue: Strength of the rotation of hues.
        saturation: Strength of saturation.
        brightness_std: Standard deviation of the brightness that is added.
        contrast_std: Standard deviation of log2 of the contrast.
        hue_max: Largest rotation of hues; 1 is a half turn.
        saturation_std: Standard deviation of log2 of the saturation.
        imgfilter: Strength of the filters of octave bands.
        imgfilter_bands: Strength of each band, from low to high frequencies.
        imgfilter_std: Standard deviation of log2 of a band's gain.
        noise: Strength of noise.
        cutout: Strength of cutouts.
        noise_std: Standard deviation of the noise's own standard deviation.
        cutout_size: Size of a cutout, as a fraction of the picture.
    """

    p: torch.Tensor
    lowpass: torch.Tensor
    bands: torch.Tensor

    def __init__(
        self,
        xflip: float = 0,
        rotate90: float = 0,
        xint: float = 0,
        xint_max: float = 0.125,
        scale: float = 0,
        rotate: float = 0,
        aniso: float = 0,
        xfrac: float = 0,
        scale_std: float = 0.2,
        rotate_max: float = 1,
        aniso_std: float = 0.2,
        xfrac_std: float = 0.125,
        brightness: float = 0,
        contrast: float = 0,
        lumaflip: float = 0,
        hue: float = 0,
        saturation: float = 0,
        brightness_std: float = 0.2,
        contrast_std: float = 0.5,
        hue_max: float = 1,
        saturation_std: float = 1,
        imgfilter: float = 0,
        imgfilter_bands: Sequence[float] = (1, 1, 1, 1),
        imgfilter_std: float = 1,
        noise: float = 0,
        cutout: float = 0,
        noise_std: float = 0.1,
        cutout_size: float = 0.5,
    ) -> None:
        super().__init__()
        blit = dict(xflip=xflip, rotate90=rotate90, xint=xint)
        geom = dict(scale=scale, rotate=rotate, aniso=aniso, xfrac=xfrac)
        color = dict(brightness=brightness, contrast=contrast, lumaflip=lumaflip, hue=hue, saturation=saturation)
        self.strength = {**blit, **geom, **color, "imgfilter": imgfilter, "noise": noise, "cutout": cutout}
        self.xint_max, self.scale_std, self.rotate_max = xint_max, scale_std, rotate_max
        self.aniso_std, self.xfrac_std = aniso_std, xfrac_std
        self.brightness_std, self.contrast_std = brightness_std, contrast_std
        self.hue_max, self.saturation_std = hue_max, saturation_std
        self.imgfilter_bands, self.imgfilter_std = tuple(imgfilter_bands), imgfilter_std
        self.noise_std, self.cutout_size = noise_std, cutout_size
        self.register_buffer("p", torch.ones([]))
        self.register_buffer("lowpass", upfirdn2d.setup_filter(SYM6))
        self.register_buffer("bands", octave_bands())

    def forward(self, strip: torch.Tensor, p: float | None = None) -> torch.Tensor:
        """Transform strips.

        Args:
            strip: Strips `[N, 3, F*H, W]`.
            p: Probability; None reads it from the buffer, which waits for the device.

        Returns:
            Strips `[N, 3, F*H, W]`.
        """
        p = float(self.p) if p is None else p
        if p <= 0:
            return strip
        x = unpack_strip(strip)
        frames = x.shape[1]
        x = x.flatten(1, 2)  # with frames as channels, a clip has one grid, one matrix and one mask
        x = self._warp(x, p)
        x = self._recolour(x, p)
        x = self._refilter(x, p)
        x = self._corrupt(x, p)
        return pack_strip(x.unflatten(1, (frames, -1)))

    def _hit(self, name: str, n: int, p: float) -> torch.Tensor:
        """Draw which of n clips a transform happens to, bool `[N]`."""
        return torch.rand(n) < p * self.strength[name]

    def _warp(self, x: torch.Tensor, p: float) -> torch.Tensor:
        n, _, height, width = x.shape
        blit = self._blit_inverse(n, p, height, width)
        x = _apply_to(x, differs_from_identity(blit), lambda part, who: copy_pixels(part, blit[who]))
        geom = self._geom_inverse(n, p, height, width)
        return _apply_to(x, differs_from_identity(geom), lambda part, who: self._resample(part, geom[who]))

    def _blit_inverse(self, n: int, p: float, height: int, width: int) -> torch.Tensor:
        """Draw inverse maps `[N, 3, 3]` of pixels to pixels: mirroring, quarter turns, shifts by whole pixels."""
        flip = torch.where(self._hit("xflip", n, p) & (torch.rand(n) < 0.5), -1.0, 1.0)
        quarter = torch.where(self._hit("rotate90", n, p), torch.randint(4, [n]), 0) * (math.pi / 2)
        shift = (torch.rand(n, 2) * 2 - 1) * self.xint_max * torch.tensor([width, height])
        shift = torch.where(self._hit("xint", n, p)[:, None], shift.round(), 0.0)
        return scaling(flip, torch.ones(n)) @ rotation(-quarter) @ translation(-shift)

    def _geom_inverse(self, n: int, p: float, height: int, width: int) -> torch.Tensor:
        """Draw inverse maps `[N, 3, 3]` of zoom, rotation, stretch along a random axis, and shift."""
        zoom = _log_normal(n, self.scale_std, self._hit("scale", n, p))
        stretch = _log_normal(n, self.aniso_std, self._hit("aniso", n, p))
        # There is a rotation before the stretch and another after it; with probability p at least one rotation happens.
        p_each = 1 - math.sqrt(1 - min(p * self.strength["rotate"], 1))
        angles = (torch.rand(2, n) * 2 - 1) * math.pi * self.rotate_max
        before, after = torch.where(torch.rand(2, n) < p_each, angles, 0.0)
        shift = torch.randn(n, 2) * self.xfrac_std * torch.tensor([width, height])
        shift = torch.where(self._hit("xfrac", n, p)[:, None], shift, 0.0)
        return (
            scaling(1 / zoom, 1 / zoom)
            @ rotation(-before)
            @ scaling(1 / stretch, stretch)
            @ rotation(-after)
            @ translation(-shift)
        )

    def _resample(self, x: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        """Transform pictures by inverse maps, at twice the resolution so that nothing aliases."""
        height, width = x.shape[2:]
        taps = self.lowpass.shape[0]
        reach = min(taps // 2, height - 1, width - 1)
        x = F.pad(x, [reach] * 4, mode="reflect")
        x = upfirdn2d.upsample2d(x, self.lowpass, up=2, padding=-2 * reach)
        margin = taps // 2  # pixels that the filter of the downsampling uses up
        rows, columns = (centred((size * 2 + 2 * margin), x.device, 0.5) for size in (height, width))
        grid = sampling_grid(inverse, rows, columns, height, width)
        x = sample_mirrored(x, grid)
        return upfirdn2d.downsample2d(x, self.lowpass, down=2, padding=-margin, flip_filter=True)

    def _recolour(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Apply affine transforms of colours, about the grey axis v = (1, 1, 1) / sqrt(3)."""
        n = x.shape[0]
        eye, grey = torch.eye(3), torch.full([3, 3], 1 / 3)  # grey = v v^T
        shift = torch.where(self._hit("brightness", n, p), torch.randn(n) * self.brightness_std, 0.0)
        contrast = _log_normal(n, self.contrast_std, self._hit("contrast", n, p))
        flip = (self._hit("lumaflip", n, p) & (torch.rand(n) < 0.5)).float()
        turn = (torch.rand(n) * 2 - 1) * math.pi * self.hue_max
        turn = torch.where(self._hit("hue", n, p), turn, 0.0)
        vivid = _log_normal(n, self.saturation_std, self._hit("saturation", n, p))

        mirror = eye - 2 * flip[:, None, None] * grey
        colour = (grey + (eye - grey) * vivid[:, None, None]) @ _turn_about_grey(turn) @ mirror
        colour = colour * contrast[:, None, None]
        # Brightness comes first, so that the later steps act on it as well.
        offset = (colour @ shift[:, None, None].expand(-1, 3, 1)).expand(-1, 3, 1)
        matrix = torch.cat([colour, offset], dim=2)
        hit = (matrix - torch.eye(3, 4)).abs().amax([1, 2]) > 1e-6

        def apply(part: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
            m = matrix[who].to(part.device, part.dtype, non_blocking=True)
            pixels = part.reshape(part.shape[0], -1, 3, part.shape[2] * part.shape[3])
            return (m[:, None, :, :3] @ pixels + m[:, None, :, 3:]).reshape(part.shape)

        return _apply_to(x, hit, apply)

    def _refilter(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Amplify or weaken octave bands, so that the expected power of a natural image stays the same."""
        n = x.shape[0]
        gains = torch.ones(n, len(BAND_POWER))
        power = torch.tensor(BAND_POWER)
        for band, strength in enumerate(self.imgfilter_bands):
            gain = torch.ones_like(gains)
            gain[:, band] = _log_normal(n, self.imgfilter_std, self._hit("imgfilter", n, p * strength))
            gains = gains * gain / (power * gain.square()).sum(1, keepdim=True).sqrt()

        def apply(part: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
            taps = gains[who].to(self.bands, non_blocking=True) @ self.bands
            return filter_each(part, taps.to(part.dtype))

        return _apply_to(x, (gains - 1).abs().amax(1) > 1e-6, apply)

    def _corrupt(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Add noise and cut a hole, the same in all frames of a clip."""
        n, channels, height, width = x.shape
        hit = self._hit("noise", n, p)
        if bool(hit.any()):
            sigma = torch.where(hit, torch.randn(n).abs() * self.noise_std, 0.0)
            grain = torch.randn([n, 3, height, width], device=x.device, dtype=x.dtype)
            grain = grain * sigma.to(x.device, x.dtype, non_blocking=True)[:, None, None, None]
            x = x + grain.repeat(1, channels // 3, 1, 1)
        hit = self._hit("cutout", n, p)
        if bool(hit.any()):
            centre = torch.rand(n, 2)
            half = torch.where(hit, self.cutout_size, 0.0)[:, None] / 2
            centre, half = (part.to(x.device, non_blocking=True) for part in (centre, half))
            across = ((torch.arange(width, device=x.device) + 0.5) / width - centre[:, :1]).abs() >= half
            down = ((torch.arange(height, device=x.device) + 0.5) / height - centre[:, 1:]).abs() >= half
            keep = down[:, None, :, None] | across[:, None, None, :]
            x = x * keep.to(x.dtype)
        return x


def _apply_to(
    x: torch.Tensor, hit: torch.Tensor, transform: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Run `transform(part, who)` on the clips that were hit, and put the result back among the other clips."""
    who = hit.nonzero()[:, 0]
    if len(who) == 0:
        return x
    if len(who) == len(x):
        return transform(x, who)
    index = who.to(x.device, non_blocking=True)
    return x.index_copy(0, index, transform(x.index_select(0, index), who))


def _log_normal(n: int, std: float, hit: torch.Tensor) -> torch.Tensor:
    """Draw 2^N(0, std^2) for the clips that were hit; 1 for the others."""
    return torch.where(hit, torch.exp2(torch.randn(n) * std), 1.0)


def _turn_about_grey(angle: torch.Tensor) -> torch.Tensor:
    """Return rotations `[N, 3, 3]` of colours about the grey axis, by Rodrigues' formula."""
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return cos * torch.eye(3) + sin * cross + (1 - cos) * torch.full([3, 3], 1 / 3)
