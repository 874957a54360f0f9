"""Motion codes: what moves in a video, as a continuous function of time (StyleGAN-V, section 3.2).

Noise at anchors every `distance` frames is smoothed into codes u_k; the acyclic positional encoding
turns the codes left and right of a time t into the motion vector v(t).
"""

import copy
import math

import torch

from stylegan_v_ext.networks.layers import Conv1dLayer, FullyConnectedLayer
from stylegan_v_ext.networks.noise import NoiseSource
from torch_utils import persistence

STRATEGIES = ("conv", "lstm")


@persistence.persistent_class
class AcyclicPositionalEncoding(torch.nn.Module):
    """v(t) from the codes at the anchors around t (StyleGAN-V, equations 2-4).

    raw(tau) = [A sin(w sigma tau + rho s), A cos(w sigma tau + rho s)]
        v(t) = raw(t) - [(1-a) raw(t_L) + a raw(t_R)] + [(1-a) B u_L + a B u_R]

    Periods sigma = tanh(W_p u_L) + 1, phases rho = W_f u_L and amplitudes A = 1 + W_a u_L come from
    the left code. Subtracting the line between the ends makes v continuous, adding the aligned codes
    makes it B u at the anchors and keeps it from repeating.

    Args:
        min_period, max_period: In frames.
        amplitude: False leaves A at 1.
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
        """V `[M, out_dim]` at times t `[M]`, between codes left and right `[M, code_dim]` `distance` frames apart."""
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


@persistence.persistent_class
class MotionNetwork(torch.nn.Module):
    """Motion vectors v(t) of N videos at F times each.

    Args:
        z_dim: Size of the noise eps.
        c_dim: Class part appended to every eps.
        code_dim: Size of u.
        out_dim: Size of v.
        distance: Frames between anchors.
        strategy: "conv" smooths the noise with two unpadded convolutions, u_k seeing eps_k ... eps_{k + 2(kernel_size -
            1)}; "lstm" runs over it from anchor 0 on (a baseline: reaching t costs the whole past).
    """

    def __init__(
        self,
        out_dim: int,
        c_dim: int = 0,
        z_dim: int = 512,
        code_dim: int = 512,
        distance: int = 16,
        kernel_size: int = 11,
        strategy: str = "conv",
        min_period: float = 16,
        max_period: float = 1024,
        amplitude: bool = True,
    ) -> None:
        super().__init__()
        if strategy not in STRATEGIES:
            raise ValueError(f"motion strategy {strategy!r} is not one of {', '.join(STRATEGIES)}")
        if distance < 1:
            raise ValueError(f"motion distance {distance} is below 1 frame")
        self.z_dim, self.c_dim, self.distance, self.strategy = z_dim, c_dim, distance, strategy
        if strategy == "conv":
            self.lookahead = 2 * (kernel_size - 1)
            self.conv0 = Conv1dLayer(z_dim + c_dim, code_dim, kernel_size, lr_multiplier=0.01)
            self.conv1 = Conv1dLayer(code_dim, code_dim, kernel_size, lr_multiplier=0.01)
        else:
            self.lookahead = 0
            self.lstm = torch.nn.LSTM(z_dim + c_dim, code_dim, batch_first=True)
        self.encoding = AcyclicPositionalEncoding(code_dim, out_dim, min_period, max_period, amplitude)

    def forward(self, t: torch.Tensor, c: torch.Tensor, noise: NoiseSource) -> torch.Tensor:
        """V `[N, F, out_dim]`, float32, at times t `[N, F]` in frames.

        In eval mode everything up to v is computed in float64, because the angles grow with t. Keep
        t on the CPU where it was made there: the anchors it needs are counted without waiting for
        the device.

        Args:
            c: Class part `[N, c_dim]`.
        """
        device = self.encoding.freqs.device
        dtype = torch.float32 if self.training else torch.float64
        compute_device = torch.device("cpu") if dtype == torch.float64 and device.type == "mps" else device
        t = (t.cpu() if t.device.type == "mps" else t).to(torch.float64)
        left, right = self._codes_around(t, c.to(compute_device, dtype), noise)
        t = t.to(compute_device, dtype, non_blocking=True).flatten()
        v = self.encoding(t, self.distance, left.flatten(0, 1), right.flatten(0, 1))
        return v.to(device, torch.float32).unflatten(0, left.shape[:2])

    def _codes_around(self, t: torch.Tensor, c: torch.Tensor, noise: NoiseSource) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes left and right of every time, each `[N, F, code_dim]`."""
        anchor = (t / self.distance).floor().long()
        if self.strategy == "lstm":
            if int(anchor.min()) < 0:
                raise ValueError("times below 0 need the 'conv' motion strategy; an LSTM starts at t = 0")
            anchors = torch.arange(int(anchor.max()) + 2, device=t.device).expand(len(t), -1)
            codes, _ = self._lstm_in(c.dtype)(self._conditioned(noise(anchors), c))
            return _rows(codes, anchor), _rows(codes, anchor + 1)

        first = anchor.amin(1, keepdim=True)
        num_codes = int((anchor - first).max()) + 2
        frames, window = t.shape[1], 2 + self.lookahead
        if num_codes + self.lookahead <= frames * window:
            anchors = first + torch.arange(num_codes + self.lookahead, device=t.device)
            codes = self._smooth(self._conditioned(noise(anchors), c))
            return _rows(codes, anchor - first), _rows(codes, anchor - first + 1)
        # The times are so far apart that a window for each is less work than all anchors between.
        anchors = (anchor[:, :, None] + torch.arange(window, device=t.device)).flatten(1)
        eps = self._conditioned(noise(anchors), c).reshape(-1, window, self.z_dim + self.c_dim)
        codes = self._smooth(eps).unflatten(0, (len(t), frames))
        return codes[:, :, 0], codes[:, :, 1]

    def _conditioned(self, eps: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        eps = eps.to(c, non_blocking=eps.device.type == "cpu")
        return torch.cat([eps, c[:, None].expand(-1, eps.shape[1], -1)], dim=2)

    def _smooth(self, eps: torch.Tensor) -> torch.Tensor:
        return self.conv1(self.conv0(eps.mT)).mT

    def _lstm_in(self, dtype: torch.dtype) -> torch.nn.Module:
        if next(self.lstm.parameters()).dtype == dtype:
            return self.lstm
        # In training mode, without which cuDNN refuses derivatives; there is no dropout that would tell the difference.
        lstm = copy.deepcopy(self.lstm).to(dtype).train()
        for hooks in (lstm._forward_pre_hooks, lstm._forward_hooks):  # for whoever watches this network's own modules
            hooks.clear()
        return lstm


def _rows(codes: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows `[N, F, C]` of codes `[N, A, C]` at index `[N, F]`."""
    index = index.to(codes.device, non_blocking=True)[:, :, None].expand(-1, -1, codes.shape[2])
    return codes.gather(1, index)
