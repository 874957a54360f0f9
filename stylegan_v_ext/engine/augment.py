"""Adaptive discriminator augmentation for video (StyleGAN2-ADA, section 2 and appendix B).

Every transform is drawn once per clip and applied to all its frames, so that augmentation never
looks like motion. Parameters are drawn on the CPU: which clips need which step is known without
waiting for the device, and clips that no transform hit pass through untouched. Only parameters, a few numbers
a clip, go to the device; what is as large as a picture, such as sampling grids, is computed there.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from stylegan_v_ext.strip import pack_strip, unpack_strip
from torch_utils import persistence
from torch_utils.ops import grid_sample_gradfix, upfirdn2d

# Low-pass halves of the symlet wavelets of order 6 and 2 (Daubechies, Ten Lectures on Wavelets).
_SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
_SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
_BAND_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # expected share of a natural image's power by octave


@persistence.persistent_class
class AugmentPipe(torch.nn.Module):
    """Random transforms of strips `[N, 3, F*H, W]`, each happening with probability p times its strength.

    The first arguments are the transforms' strengths, 0 for off and 1 for on; those that end in
    `_std` or `_max` say how far they go. p is the buffer that the training loop adapts.
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
        self.strength = {
            "xflip": xflip,
            "rotate90": rotate90,
            "xint": xint,
            "scale": scale,
            "rotate": rotate,
            "aniso": aniso,
            "xfrac": xfrac,
            "brightness": brightness,
            "contrast": contrast,
            "lumaflip": lumaflip,
            "hue": hue,
            "saturation": saturation,
            "imgfilter": imgfilter,
            "noise": noise,
            "cutout": cutout,
        }
        self.xint_max, self.scale_std, self.rotate_max = xint_max, scale_std, rotate_max
        self.aniso_std, self.xfrac_std = aniso_std, xfrac_std
        self.brightness_std, self.contrast_std = brightness_std, contrast_std
        self.hue_max, self.saturation_std = hue_max, saturation_std
        self.imgfilter_bands, self.imgfilter_std = tuple(imgfilter_bands), imgfilter_std
        self.noise_std, self.cutout_size = noise_std, cutout_size
        self.register_buffer("p", torch.ones([]))
        self.register_buffer("lowpass", upfirdn2d.setup_filter(_SYM6))
        self.register_buffer("bands", _octave_bands())

    def forward(self, strip: torch.Tensor, p: float | None = None) -> torch.Tensor:
        """Transformed strips.

        Args:
            p: Probability in place of the buffer's, to spare a wait for the device.
        """
        p = float(self.p) if p is None else p
        if p <= 0:
            return strip
        x = unpack_strip(strip)
        frames = x.shape[1]
        x = x.flatten(1, 2)  # frames are channels: one grid, one matrix, one mask a clip
        x = self._warp(x, p)
        x = self._recolour(x, p)
        x = self._refilter(x, p)
        x = self._corrupt(x, p)
        return pack_strip(x.unflatten(1, (frames, -1)))

    def _hit(self, name: str, n: int, p: float) -> torch.Tensor:
        """Which of n clips a transform happens to."""
        return torch.rand(n) < p * self.strength[name]

    def _warp(self, x: torch.Tensor, p: float) -> torch.Tensor:
        n, _, height, width = x.shape
        blit = self._blit_inverse(n, p, height, width)
        x = _apply_to(x, _differs(blit), lambda part, who: _copy_pixels(part, blit[who]))
        geom = self._geom_inverse(n, p, height, width)
        return _apply_to(x, _differs(geom), lambda part, who: self._resample(part, geom[who]))

    def _blit_inverse(self, n: int, p: float, height: int, width: int) -> torch.Tensor:
        """Inverse maps `[N, 3, 3]` of pixel copies: mirroring, quarter turns, whole-pixel shifts."""
        flip = torch.where(self._hit("xflip", n, p) & (torch.rand(n) < 0.5), -1.0, 1.0)
        quarter = torch.where(self._hit("rotate90", n, p), torch.randint(4, [n]), 0) * (math.pi / 2)
        shift = (torch.rand(n, 2) * 2 - 1) * self.xint_max * torch.tensor([width, height])
        shift = torch.where(self._hit("xint", n, p)[:, None], shift.round(), 0.0)
        return _scaling(flip, torch.ones(n)) @ _rotation(-quarter) @ _translation(-shift)

    def _geom_inverse(self, n: int, p: float, height: int, width: int) -> torch.Tensor:
        """Inverse maps `[N, 3, 3]` of zoom, rotation, stretch along a random axis, and shift."""
        zoom = _log_normal(n, self.scale_std, self._hit("scale", n, p))
        stretch = _log_normal(n, self.aniso_std, self._hit("aniso", n, p))
        # Two rotations, before and after the stretch, together hit with probability p.
        p_each = 1 - math.sqrt(1 - min(p * self.strength["rotate"], 1))
        angles = (torch.rand(2, n) * 2 - 1) * math.pi * self.rotate_max
        before, after = torch.where(torch.rand(2, n) < p_each, angles, 0.0)
        shift = torch.randn(n, 2) * self.xfrac_std * torch.tensor([width, height])
        shift = torch.where(self._hit("xfrac", n, p)[:, None], shift, 0.0)
        return (
            _scaling(1 / zoom, 1 / zoom)
            @ _rotation(-before)
            @ _scaling(1 / stretch, stretch)
            @ _rotation(-after)
            @ _translation(-shift)
        )

    def _resample(self, x: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        """Look up x at inversely mapped pixels, at twice the resolution so that nothing aliases."""
        height, width = x.shape[2:]
        taps = self.lowpass.shape[0]
        reach = min(taps // 2, height - 1, width - 1)
        x = F.pad(x, [reach] * 4, mode="reflect")
        x = upfirdn2d.upsample2d(x, self.lowpass, up=2, padding=-2 * reach)
        margin = taps // 2  # pixels that the filter on the way back uses up
        rows, columns = (_centred((size * 2 + 2 * margin), x.device, 0.5) for size in (height, width))
        grid = _grid(inverse, rows, columns, height, width)
        x = _sample_mirrored(x, grid)
        return upfirdn2d.downsample2d(x, self.lowpass, down=2, padding=-margin, flip_filter=True)

    def _recolour(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Affine colour transforms, about the grey axis v = (1, 1, 1) / sqrt(3)."""
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
        # Brightness comes first, so the later steps act on it as well.
        offset = (colour @ shift[:, None, None].expand(-1, 3, 1)).expand(-1, 3, 1)
        matrix = torch.cat([colour, offset], dim=2)
        hit = (matrix - torch.eye(3, 4)).abs().amax([1, 2]) > 1e-6

        def apply(part: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
            m = matrix[who].to(part.device, part.dtype, non_blocking=True)
            pixels = part.reshape(part.shape[0], -1, 3, part.shape[2] * part.shape[3])
            return (m[:, None, :, :3] @ pixels + m[:, None, :, 3:]).reshape(part.shape)

        return _apply_to(x, hit, apply)

    def _refilter(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Amplify or weaken octave bands, keeping the power that a natural image is expected to have."""
        n = x.shape[0]
        gains = torch.ones(n, len(_BAND_POWER))
        power = torch.tensor(_BAND_POWER)
        for band, strength in enumerate(self.imgfilter_bands):
            gain = torch.ones_like(gains)
            gain[:, band] = _log_normal(n, self.imgfilter_std, self._hit("imgfilter", n, p * strength))
            gains = gains * gain / (power * gain.square()).sum(1, keepdim=True).sqrt()

        def apply(part: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
            taps = gains[who].to(self.bands, non_blocking=True) @ self.bands
            return _filter_each(part, taps.to(part.dtype))

        return _apply_to(x, (gains - 1).abs().amax(1) > 1e-6, apply)

    def _corrupt(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Noise and a hole; the same in all frames of a clip."""
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


def _apply_to(x, hit, transform):  # noqa: ANN001, ANN202
    """Run `transform(part, who)` on the clips that were hit, and put the result back among the others."""
    who = hit.nonzero()[:, 0]
    if len(who) == 0:
        return x
    if len(who) == len(x):
        return transform(x, who)
    index = who.to(x.device, non_blocking=True)
    return x.index_copy(0, index, transform(x.index_select(0, index), who))


def _copy_pixels(x: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Look up x at inversely mapped pixels that fall on pixels again."""
    height, width = x.shape[2:]
    grid = _grid(inverse, _centred(height, x.device), _centred(width, x.device), height, width)
    return _sample_mirrored(x, grid)


def _centred(count: int, device: torch.device, spacing: float = 1.0) -> torch.Tensor:
    """Positions of `count` pixels, `spacing` apart, about their middle."""
    return (torch.arange(count, device=device) + 0.5 - count / 2) * spacing


def _grid(inverse: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Sampling grid `[N, rows, columns, 2]` for inverse maps in pixels from the centre of a picture.

    On the device of rows and columns. Written as sums, because a matrix product may round to TF32.
    """
    scale = torch.tensor([[2 / width], [2 / height]])
    maps = (inverse[:, :2] * scale).to(rows.device, non_blocking=True)
    by_x, by_y, shift = (column[:, None] for column in maps.unbind(2))  # [N, 1, 2]
    across, down = columns[:, None] * by_x, rows[:, None] * by_y + shift
    return across[:, None] + down[:, :, None]


def _sample_mirrored(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Sample x at grid positions, those outside mirrored at its borders."""
    folded = 1 - ((grid + 1) % 4 - 2).abs()  # a zigzag of period 4 through -1 ... 1
    limit = 1 - 1 / torch.tensor([x.shape[3], x.shape[2]])  # the outermost pixels' centres
    limit = limit.to(grid.device, non_blocking=True)
    return grid_sample_gradfix.grid_sample(x, folded.clamp(-limit, limit).to(x.dtype))


def _log_normal(n: int, std: float, hit: torch.Tensor) -> torch.Tensor:
    """2^N(0, std^2) where hit, else 1."""
    return torch.where(hit, torch.exp2(torch.randn(n) * std), 1.0)


def _differs(matrix: torch.Tensor) -> torch.Tensor:
    return (matrix - torch.eye(3)).abs().amax([1, 2]) > 1e-6


def _scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: torch.Tensor) -> torch.Tensor:
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0] = angle.sin()
    matrix[:, 0, 1] = -angle.sin()
    return matrix


def _translation(shift: torch.Tensor) -> torch.Tensor:
    matrix = torch.eye(3).repeat(len(shift), 1, 1)
    matrix[:, :2, 2] = shift
    return matrix


def _turn_about_grey(angle: torch.Tensor) -> torch.Tensor:
    """Rotation `[N, 3, 3]` of colours about the grey axis (Rodrigues' formula)."""
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return cos * torch.eye(3) + sin * cross + (1 - cos) * torch.full([3, 3], 1 / 3)


def _octave_bands() -> torch.Tensor:
    """Zero-phase taps `[4, T]` of octave bands, low to high, that add up to the identity.

    P = h * reversed(h) is a half-band low-pass; P(z), P(z)P(z^2), P(z)P(z^2)P(z^4) keep a half, a
    quarter, an eighth of the spectrum, and the bands are their differences.
    """
    h = torch.tensor(_SYM2, dtype=torch.float64)
    h = h / h.sum()
    half_band = _convolve_taps(h, h.flip(0))
    lows, low = [], torch.ones(1, dtype=torch.float64)
    for octave in range(3):
        spread = torch.zeros((len(half_band) - 1) * 2**octave + 1, dtype=torch.float64)
        spread[:: 2**octave] = half_band
        low = _convolve_taps(low, spread)
        lows.append(low)
    size = len(low)
    identity = F.pad(torch.ones(1, dtype=torch.float64), [size // 2] * 2)
    half, quarter, eighth = (F.pad(taps, [(size - len(taps)) // 2] * 2) for taps in lows)
    return torch.stack([eighth, quarter - eighth, half - quarter, identity - half]).float()


def _convolve_taps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.conv1d(a[None, None], b.flip(0)[None, None], padding=len(b) - 1)[0, 0]


def _filter_each(x: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Filter clip n of x `[N, C, H, W]` with taps[n] along both axes, reflecting at the borders."""
    n, channels, height, width = x.shape
    reach = taps.shape[1] // 2
    rows = _reflected_index(height, reach, x.device)
    columns = _reflected_index(width, reach, x.device)
    kernels = taps.repeat_interleave(channels, dim=0)[:, None]
    x = x.reshape(1, n * channels, height, width)
    x = F.conv2d(x[:, :, rows], kernels[..., None], groups=n * channels)
    x = F.conv2d(x[:, :, :, columns], kernels[:, :, None], groups=n * channels)
    return x.reshape(n, channels, height, width)


def _reflected_index(size: int, reach: int, device: torch.device) -> torch.Tensor:
    """Indices -reach ... size - 1 + reach, mirrored into range however small the image."""
    index = torch.arange(-reach, size + reach, device=device) % (2 * size - 2)
    return torch.where(index < size, index, 2 * size - 2 - index)
