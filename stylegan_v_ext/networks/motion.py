"""Motion codes: what moves in a video, as a continuous function of time (StyleGAN-V, section 3).

There is an anchor every `distance` frames. Each anchor k has a noise vector eps_k (`anchor_noise`), and the noise is
smoothed into motion codes u_k. The acyclic positional encoding (`positional_encoding`) turns the codes at the anchors
left and right of a time t into the motion vector v(t).

Each kind of motion code is a subclass of `MotionNetwork` with a row in `STRATEGIES`.
"""

import copy

import torch

from stylegan_v_ext.networks.anchor_noise import NoiseSource
from stylegan_v_ext.networks.layers import Conv1dLayer
from stylegan_v_ext.networks.positional_encoding import AcyclicPositionalEncoding
from torch_utils import persistence

__all__ = ["STRATEGIES", "ConvMotionNetwork", "LSTMMotionNetwork", "MotionNetwork"]


@persistence.persistent_class
class MotionNetwork(torch.nn.Module):
    """Motion vectors v(t) of N videos at F times each.

    `MotionNetwork(..., strategy="lstm")` makes a network of the subclass that `STRATEGIES` names. A subclass makes its
    layers in `make_codes`, computes codes in `codes_around`, and has its key of `STRATEGIES` as `strategy`.

    Args:
        out_dim: Size of v.
        c_dim: Size of the class part, which is appended to every eps.
        z_dim: Size of the noise eps.
        code_dim: Size of u.
        distance: Frames between anchors.
        kernel_size: Anchors that each convolution of `ConvMotionNetwork` sees.
        strategy: A key of `STRATEGIES`; a subclass does not use it.
        min_period: Shortest period of the encoding, in frames.
        max_period: Longest period of the encoding, in frames.
        amplitude: Whether the codes set the amplitudes of the encoding.

    Raises:
        ValueError: If the strategy is unknown or the distance is below 1.
    """

    strategy: str
    lookahead: int

    def __new__(cls, *args: object, strategy: str = "conv", **kwargs: object) -> "MotionNetwork":
        """Choose the subclass of the strategy."""
        return super().__new__(STRATEGIES.get(strategy, cls) if cls is MotionNetwork else cls)

    def __init__(
        self,
        out_dim: int,
        c_dim: int = 0,
        z_dim: int = 512,
        code_dim: int = 512,
        distance: int = 16,
        kernel_size: int = 11,
        *,
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
        self.z_dim, self.c_dim, self.distance = z_dim, c_dim, distance
        self.make_codes(z_dim + c_dim, code_dim, kernel_size)
        self.encoding = AcyclicPositionalEncoding(code_dim, out_dim, min_period, max_period, amplitude)

    def make_codes(self, in_dim: int, code_dim: int, kernel_size: int) -> None:
        """Make the layers and set `lookahead`, the number of anchors after k that u_k depends on.

        Args:
            in_dim: Size of eps with its class part.
            code_dim: Size of u.
            kernel_size: As in the class's arguments.
        """
        raise NotImplementedError

    def codes_around(
        self, anchor: torch.Tensor, c: torch.Tensor, noise: NoiseSource
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the codes left and right of every time.

        Args:
            anchor: Indices of the anchors left of the times, int64 `[N, F]`.
            c: Class part `[N, c_dim]`, in the type and on the device to compute in.
            noise: Gives eps for anchors.

        Returns:
            The codes at `anchor` and at `anchor + 1`, each `[N, F, code_dim]`.
        """
        raise NotImplementedError

    def forward(self, t: torch.Tensor, c: torch.Tensor, noise: NoiseSource) -> torch.Tensor:
        """Compute v(t).

        In eval mode everything up to v is computed in float64, because the angles grow with t. Keep t on the CPU if it
        was made there: then the anchors that it needs are counted without a wait for the device.

        Args:
            t: Times in frames, `[N, F]`.
            c: Class part `[N, c_dim]`.
            noise: Gives eps for anchors.

        Returns:
            Motion vectors `[N, F, out_dim]`, float32.
        """
        device = self.encoding.freqs.device
        dtype = torch.float32 if self.training else torch.float64
        compute_device = torch.device("cpu") if dtype == torch.float64 and device.type == "mps" else device
        t = (t.cpu() if t.device.type == "mps" else t).to(torch.float64)
        anchor = (t / self.distance).floor().long()
        left, right = self.codes_around(anchor, c.to(compute_device, dtype), noise)
        t = t.to(compute_device, dtype, non_blocking=True).flatten()
        v = self.encoding(t, self.distance, left.flatten(0, 1), right.flatten(0, 1))
        return v.to(device, torch.float32).unflatten(0, left.shape[:2])


@persistence.persistent_class
class ConvMotionNetwork(MotionNetwork):
    """Codes by two unpadded convolutions over the noise: u_k sees eps_k ... eps_{k + 2 (kernel_size - 1)}.

    The arguments are those of `MotionNetwork`.
    """

    strategy = "conv"

    def make_codes(self, in_dim: int, code_dim: int, kernel_size: int) -> None:
        """Make the two convolutions, as in `MotionNetwork.make_codes`."""
        self.lookahead = 2 * (kernel_size - 1)
        self.conv0 = Conv1dLayer(in_dim, code_dim, kernel_size, lr_multiplier=0.01)
        self.conv1 = Conv1dLayer(code_dim, code_dim, kernel_size, lr_multiplier=0.01)

    def codes_around(
        self, anchor: torch.Tensor, c: torch.Tensor, noise: NoiseSource
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the codes left and right of every time, as in `MotionNetwork.codes_around`."""
        first = anchor.amin(1, keepdim=True)
        num_codes = int((anchor - first).max()) + 2
        num_clips, frames, window = *anchor.shape, 2 + self.lookahead
        if num_codes + self.lookahead <= frames * window:
            anchors = first + torch.arange(num_codes + self.lookahead, device=anchor.device)
            codes = self._smooth(_with_class(noise(anchors), c))
            return _rows(codes, anchor - first), _rows(codes, anchor - first + 1)
        # The times are so far apart that a window for each time is less work than all anchors between them.
        anchors = (anchor[:, :, None] + torch.arange(window, device=anchor.device)).flatten(1)
        eps = _with_class(noise(anchors), c).reshape(-1, window, self.z_dim + self.c_dim)
        codes = self._smooth(eps).unflatten(0, (num_clips, frames))
        return codes[:, :, 0], codes[:, :, 1]

    def _smooth(self, eps: torch.Tensor) -> torch.Tensor:
        return self.conv1(self.conv0(eps.mT)).mT


@persistence.persistent_class
class LSTMMotionNetwork(MotionNetwork):
    """Codes by an LSTM over the noise from anchor 0 on, a baseline: it computes the whole past to reach a time t.

    The arguments are those of `MotionNetwork`.
    """

    strategy = "lstm"

    def make_codes(self, in_dim: int, code_dim: int, kernel_size: int) -> None:
        """Make the LSTM, as in `MotionNetwork.make_codes`."""
        self.lookahead = 0
        self.lstm = torch.nn.LSTM(in_dim, code_dim, batch_first=True)

    def codes_around(
        self, anchor: torch.Tensor, c: torch.Tensor, noise: NoiseSource
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the codes left and right of every time, as in `MotionNetwork.codes_around`.

        Raises:
            ValueError: If a time is below 0.
        """
        if int(anchor.min()) < 0:
            raise ValueError("times below 0 need the 'conv' motion strategy; an LSTM starts at t = 0")
        anchors = torch.arange(int(anchor.max()) + 2, device=anchor.device).expand(len(anchor), -1)
        codes, _ = self._lstm_in(c.dtype)(_with_class(noise(anchors), c))
        return _rows(codes, anchor), _rows(codes, anchor + 1)

    def _lstm_in(self, dtype: torch.dtype) -> torch.nn.Module:
        if next(self.lstm.parameters()).dtype == dtype:
            return self.lstm
        # The copy is in training mode, because cuDNN refuses derivatives otherwise. Without dropout the results agree.
        lstm = copy.deepcopy(self.lstm).to(dtype).train()
        for hooks in (lstm._forward_pre_hooks, lstm._forward_hooks):  # they belong to this network's own module
            hooks.clear()
        return lstm


STRATEGIES: dict[str, type[MotionNetwork]] = {"conv": ConvMotionNetwork, "lstm": LSTMMotionNetwork}
"""The kinds of motion codes by the names that files and options use."""


def _with_class(eps: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Append the class part c `[N, c_dim]` to noise `[N, A, z_dim]`, on the device and in the type of c."""
    eps = eps.to(c, non_blocking=eps.device.type == "cpu")
    return torch.cat([eps, c[:, None].expand(-1, eps.shape[1], -1)], dim=2)


def _rows(codes: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return rows `[N, F, C]` of codes `[N, A, C]` at index `[N, F]`."""
    index = index.to(codes.device, non_blocking=True)[:, :, None].expand(-1, -1, codes.shape[2])
    return codes.gather(1, index)
