"""Conversion of high dynamic range (HDR) and of wide gamuts to the colours of BT.709.

Sources of the numbers: ITU-R BT.2100 (curves), BT.2390 (tone mapping), BT.2408 (reference white), and the standards
BT.709, BT.2020 and DCI-P3 (chromaticities).
"""

import numpy as np

from stylegan_v_ext.data.video.tags import CURVES, GAMUTS, HLG, PQ

WHITE = 203.0  # light of HDR, in cd/m², that becomes the white of SDR
PEAK = 1000.0  # brightest light of HDR, in cd/m², if the file does not state it
_SDR_GAMMA = 2.4  # gamma of a display by BT.1886
_OPAQUE = 0.998  # alpha from which on a pixel counts as opaque; rounding may take a little off 1
_BAND = 2**18  # pixels that are converted together
_BT709 = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290)  # x and y of red, green, blue and white
_CHROMATICITIES = {
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def pq_to_nits(signal: np.ndarray) -> np.ndarray:
    """Return the light in cd/m² of a PQ signal, 0 to 1 (BT.2100, EOTF)."""
    root = np.maximum(signal, 0) ** (1 / _M2)
    return 10000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)


def nits_to_pq(nits: np.ndarray) -> np.ndarray:
    """Return the PQ signal, 0 to 1, of light in cd/m² (BT.2100, inverse EOTF)."""
    power = (np.maximum(nits, 0) / 10000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    """Return the light of the scene, 0 to 1, of an HLG signal, 0 to 1 (BT.2100, inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def tone_map(nits: np.ndarray, peak: float) -> np.ndarray:
    """Map light up to `peak` to light up to `WHITE` by the curve of BT.2390, which does not change dark light.

    Args:
        nits: Light in cd/m², any shape.
        peak: Brightest light in cd/m².

    Returns:
        Light in cd/m², of the same shape.
    """
    top, white = nits_to_pq(np.array([peak, WHITE]))
    most = white / top
    if most >= 1:
        return np.minimum(nits, WHITE)
    signal = np.minimum(nits_to_pq(nits) / top, 1)
    knee = 1.5 * most - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return np.where(signal < knee, nits, pq_to_nits(bent * top))


def gamut_matrix(primaries: int) -> np.ndarray:
    """Return the matrix `[3, 3]` from linear RGB of a gamut to linear RGB of BT.709; white stays white."""
    return np.linalg.inv(_to_xyz(_BT709)) @ np.diag(_white_shift(primaries)) @ _to_xyz(_CHROMATICITIES[primaries])


def _white_shift(primaries: int) -> np.ndarray:
    """Return the factors of X, Y and Z that take the white of a gamut to the white of BT.709."""
    return (_to_xyz(_BT709) @ np.ones(3)) / (_to_xyz(_CHROMATICITIES[primaries]) @ np.ones(3))


def _to_xyz(chromaticities: tuple[float, ...]) -> np.ndarray:
    """Return the matrix `[3, 3]` from linear RGB to XYZ."""
    pairs = zip(chromaticities[::2], chromaticities[1::2], strict=True)
    xyz = [np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in pairs]
    columns = np.stack(xyz[:3], axis=1)
    return columns * np.linalg.solve(columns, xyz[3])


class Conversion:
    """Converts RGB pixels to SDR with the colours of BT.709.

    Args:
        curve: FFmpeg's number of the transfer characteristic of the pixels; numbers that are not in `CURVES` mean SDR.
        primaries: FFmpeg's number of the primaries of the pixels; numbers that are not in `GAMUTS` keep the gamut, but
            HDR with unknown primaries counts as BT.2020.
        peak: Brightest light in cd/m² that PQ pixels show; None if unknown. HLG always reaches 1000.
    """

    def __init__(self, curve: int, primaries: int, peak: float | None = None) -> None:
        self._curve = curve
        self._peak = PEAK if curve == HLG or peak is None else min(max(peak, WHITE), 10000.0)
        gamut = primaries if primaries in GAMUTS else 9 if curve in CURVES and primaries == 2 else 1
        self._matrix = None if gamut == 1 else gamut_matrix(gamut).astype(np.float32).T
        signal = np.arange(65536) / 65535
        light = {PQ: pq_to_nits, HLG: hlg_to_scene}.get(curve, lambda value: WHITE * value**_SDR_GAMMA)
        self._light = light(signal).astype(np.float32)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Convert pixels uint16 `[H, W, 3]` to uint8 `[H, W, 3]`."""
        rows = max(_BAND // pixels.shape[1], 1)
        bands = [self._convert(pixels[at : at + rows]) for at in range(0, len(pixels), rows)]
        return np.concatenate(bands)

    def _convert(self, pixels: np.ndarray) -> np.ndarray:
        light = self._light[pixels]
        if self._curve == HLG:  # the system gamma of a display of 1000 cd/m²
            luminance = light @ np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
            light *= (self._peak * luminance**0.2)[..., None]
        if self._curve in CURVES:
            brightest = np.maximum(light.max(axis=-1), 1e-6)
            light *= (tone_map(brightest, self._peak) / brightest)[..., None]
        if self._matrix is not None:
            light = light @ self._matrix
        signal = np.clip(light / WHITE, 0, 1) ** (1 / _SDR_GAMMA)
        return (255 * signal + 0.5).astype(np.uint8)


class Finish:
    """The last step for pixels of 16 bits: grey of limited range, light that is not SDR, and transparency.

    Args:
        conversion: Converts the light; None if it is SDR with the colours of BT.709.
        alpha: Alpha of opaque pixels if the pixels are RGBA with colours that are multiplied by alpha; 0 if they are
            RGB.
        background: RGB colour, 0 to 255, behind transparent pixels.
        limited_grey: Whether the pixels are grey of limited range.

    Attributes:
        met_transparency: Whether any pixel so far was transparent.
    """

    def __init__(
        self, conversion: Conversion | None, alpha: int, background: tuple[int, ...], *, limited_grey: bool
    ) -> None:
        self._limited_grey, self._conversion, self._alpha = limited_grey, conversion, alpha
        self._background = np.array(background, dtype=np.float32)
        self.met_transparency = False

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Convert pixels uint16 `[H, W, 3]`, or `[H, W, 4]` with alpha, to uint8 `[H, W, 3]`."""
        colours, opaque = pixels[..., :3], pixels[..., 3:].astype(np.float32)
        if self._alpha:
            opaque = np.minimum(opaque / self._alpha, 1)
            colours = np.minimum(colours * np.float32(65535 / self._alpha) + 0.5, 65535).astype(np.uint16)
        if self._limited_grey:
            black = 16 * opaque if self._alpha else 16
            expanded = (colours.astype(np.float32) / 257 - black) * (65535 / 219)
            colours = np.clip(expanded + 0.5, 0, 65535).astype(np.uint16)
        if self._conversion is not None and self._alpha:
            whole = np.minimum(colours / np.maximum(opaque, 1e-5), 65535).astype(np.uint16)
            shown: np.ndarray = self._conversion(whole) * opaque
        elif self._conversion is not None:
            return self._conversion(colours)
        else:
            shown = colours.astype(np.float32) / 257
        if self._alpha and opaque.min() < _OPAQUE:
            self.met_transparency = True
            shown = shown + self._background * (1 - opaque)
        return np.clip(shown + 0.5, 0, 255).astype(np.uint8)
