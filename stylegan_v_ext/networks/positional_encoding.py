"""The acyclic positional encoding of time: motion vectors v(t) between two motion codes (StyleGAN-V, section 3)."""

import math

import torch

from stylegan_v_ext.networks.layers import FullyConnectedLayer
from torch_utils import persistence

__all__ = ["AcyclicPositionalEncoding"]


@persistence.persistent_class
class AcyclicPositionalEncoding(torch.nn.Module):
    """v(t) from the codes at the anchors left and right of t.

    raw(tau) = [A sin(w sigma tau + rho s), A cos(w sigma tau + rho s)]
        v(t) = raw(t) - [(1-a) raw(t_L) + a raw(t_R)] + [(1-a) B u_L + a B u_R]

    t_L and t_R are the times of the anchors, and a = (t - t_L) / (t_R - t_L). The left code u_L gives the periods
    sigma = tanh(W_p u_L) + 1, the phases rho = W_f u_L and the amplitudes A = 1 + W_a u_L. The line between the ends is
    subtracted, so that v is continuous. The aligned codes are added, so that v(t) = B u at the anchors and v does not
    repeat itself.

    Args:
        code_dim: Size of a motion code u.
        out_dim: Size of v, an even number.
        min_period: Shortest period, in frames.
        max_period: Longest period, in frames.
        amplitude: False leaves A at 1.

    Raises:
        ValueError: If `out_dim` is odd or the periods are out of order.
    """

    freqs: torch.Tensor
    phase_scales: torch.Tensor

    def __init__(
        self,
        code_dim: int,
        out_dim: int,
        min_period: float = 16,
        max_period: float = 1024,
        amplitude: bool = True,
    ) -> None:
        super().__init__()
        if out_dim % 2:
            raise ValueError(f"w_dim {out_dim} is odd; the positional encoding needs sine and cosine pairs")
        if not 0 < min_period <= max_period:
            raise ValueError(f"min_period {min_period} has to be above 0 and at most max_period {max_period}")
        num_freqs = out_dim // 2
        log_periods = torch.linspace(math.log2(max_period), math.log2(min_period), num_freqs, dtype=torch.float64)
        periods = 2**log_periods
        self.register_buffer("freqs", (2 * math.pi / periods).float())
        self.register_buffer("phase_scales", (max_period / periods).float())
        self.periods = FullyConnectedLayer(code_dim, num_freqs, bias=False)
        self.phases = FullyConnectedLayer(code_dim, num_freqs, bias=False)
        self.amplitudes = FullyConnectedLayer(code_dim, num_freqs, bias=False) if amplitude else None
        self.aligner = FullyConnectedLayer(code_dim, out_dim, bias=False)

    def forward(self, t: torch.Tensor, distance: float, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Compute v(t) for M times.

        Args:
            t: Times in frames, `[M]`.
            distance: Frames between two anchors.
            left: Codes at the anchors left of the times, `[M, code_dim]`.
            right: Codes at the anchors right of the times, `[M, code_dim]`.

        Returns:
            Motion vectors `[M, out_dim]`, in the type of the codes.
        """
        t = t[:, None]
        t_left = (t / distance).floor() * distance
        a = (t - t_left) / distance
        speed = self.freqs.to(left) * (self.periods(left).tanh() + 1)
        phase = self.phases(left) * self.phase_scales.to(left)
        amplitude = 1 if self.amplitudes is None else 1 + self.amplitudes(left)

        def raw(tau: torch.Tensor) -> torch.Tensor:
            angle = speed * tau + phase
            return torch.cat([amplitude * angle.sin(), amplitude * angle.cos()], dim=1)

        ends = (1 - a) * raw(t_left) + a * raw(t_left + distance)
        aligned = (1 - a) * self.aligner(left) + a * self.aligner(right)
        return raw(t) - ends + aligned
