"""What one training step of each network computes (StyleGAN2, sections 3 and 4; StyleGAN-V, section 3.4)."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import split_label
from torch_utils import training_stats
from torch_utils.ops import conv2d_gradfix


class StyleGAN2Loss:
    """Non-saturating logistic loss with R1 and, optionally, style mixing and path length regularisation.

    Every step runs forward and backward and leaves the gradients in the networks.

    Args:
        r1_gamma: Weight of the squared image gradient, summed over the strip.
        style_mixing_prob: Share of clips that take the last content rows from a second latent.
        pl_weight: 0 switches path length off.
        pl_batch_shrink: How many times smaller its batch is.
        pl_decay: Of the running mean of path lengths.
        compiled: Run the networks through `torch.compile` where first derivatives do, which R1 and path lengths go
            beyond; `ValueError` where it does not work.
    """

    def __init__(
        self,
        device: torch.device,
        G: VideoGenerator,
        D: torch.nn.Module,
        augment_pipe: torch.nn.Module | None = None,
        r1_gamma: float = 10,
        style_mixing_prob: float = 0,
        pl_weight: float = 0,
        pl_batch_shrink: int = 2,
        pl_decay: float = 0.01,
        compiled: bool = False,
    ) -> None:
        self.G, self.D, self.augment_pipe = G, D, augment_pipe
        self.augment_p = 0.0
        self.r1_gamma = r1_gamma
        self.style_mixing_prob = style_mixing_prob
        self.pl_weight, self.pl_batch_shrink, self.pl_decay = pl_weight, pl_batch_shrink, pl_decay
        self.pl_mean = torch.zeros([], device=device)
        self._synthesis: Any = G.synthesis
        self._discriminator: Any = D
        if compiled:
            self._synthesis, self._discriminator = (_compiled(network, device) for network in (G.synthesis, D))

    def generator_step(self, z: torch.Tensor, c: torch.Tensor, gain: float = 1) -> torch.Tensor:
        """Gmain: maximise log sigmoid of the logits. z `[N, z_dim]`, c `[N, K + F]`. Returns the loss, as all steps."""
        with _training(self.G):
            logits = self._logits(self._synthesis(self._ws(z, c)), c)
            _report_scores("fake", logits)
            loss = F.softplus(-logits)
            training_stats.report("Loss/G/loss", loss)
            loss.mean().mul(gain).backward()
        return loss.detach()

    def path_length_step(self, z: torch.Tensor, c: torch.Tensor, gain: float = 1) -> torch.Tensor:
        """Greg: keep the size of d image / d w near its running mean (StyleGAN2, equation 4)."""
        shrunk = max(len(z) // self.pl_batch_shrink, 1)
        z, c = z[:shrunk], c[:shrunk]
        with _training(self.G):
            ws = self._ws(z, c)
            num_ws = self.G.num_ws
            content = ws[:, :num_ws]
            strip = self.G.synthesis(torch.cat([content, ws[:, num_ws:]], dim=1))
            noise = torch.randn_like(strip) / math.sqrt(strip.shape[2] * strip.shape[3])
            (gradient,) = torch.autograd.grad((strip * noise).sum(), content, create_graph=True)
            lengths = gradient.square().sum(2).mean(1).sqrt()
            length = lengths.detach().mean()
            self.pl_mean.lerp_(torch.where(length.isfinite(), length, self.pl_mean), self.pl_decay)
            penalty = (lengths - self.pl_mean).square()
            training_stats.report("Loss/pl_penalty", penalty)
            training_stats.report("Loss/G/reg", penalty * self.pl_weight)
            penalty.mean().mul(self.pl_weight * gain).backward()
        return penalty.detach()

    def discriminator_step(
        self, real: torch.Tensor, real_c: torch.Tensor, z: torch.Tensor, c: torch.Tensor, gain: float = 1
    ) -> torch.Tensor:
        """Dmain: minimise log sigmoid of generated clips' logits, maximise it for real strips in -1 ... 1."""
        with torch.no_grad():
            fake = self._synthesis(self._ws(z, c))
        with _training(self.D):
            fake_logits = self._logits(fake, c)
            _report_scores("fake", fake_logits)
            fake_loss = F.softplus(fake_logits)
            fake_loss.mean().mul(gain).backward()

            real_logits = self._logits(real, real_c)
            _report_scores("real", real_logits)
            real_loss = F.softplus(-real_logits)
            training_stats.report("Loss/D/loss", fake_loss + real_loss)
            real_loss.mean().mul(gain).backward()
        return (fake_loss + real_loss).detach()

    def r1_step(self, real: torch.Tensor, real_c: torch.Tensor, gain: float = 1) -> torch.Tensor:
        """Dreg: gamma / 2 times the squared gradient of the logits at real strips (R1)."""
        with _training(self.D):
            real = real.detach().requires_grad_()
            logits = self.D(self._augmented(real), real_c)
            with conv2d_gradfix.no_weight_gradients():
                (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
            penalty = gradient.square().sum([1, 2, 3])
            training_stats.report("Loss/r1_penalty", penalty)
            training_stats.report("Loss/D/reg", penalty * (self.r1_gamma / 2))
            penalty.mean().mul(self.r1_gamma / 2 * gain).backward()
        return penalty.detach()

    def _ws(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """Rows of `ws`, with the last content rows of some clips taken from another latent."""
        ws = self.G.mapping(z, c)
        if self.style_mixing_prob <= 0:
            return ws
        num_ws = self.G.num_ws
        # Class alone: the second latent lends content, not motion.
        classes, _ = split_label(c, self.G.num_classes)
        other = self.G.mapping(torch.randn_like(z), classes, skip_w_avg_update=True)
        cutoff = torch.randint(1, num_ws, [len(z), 1])
        cutoff = torch.where(torch.rand(len(z), 1) < self.style_mixing_prob, cutoff, num_ws)
        mixed = (torch.arange(num_ws) >= cutoff).to(ws.device, non_blocking=True)
        content = torch.where(mixed[:, :, None], other[:, :num_ws], ws[:, :num_ws])
        return torch.cat([content, ws[:, num_ws:]], dim=1)

    def _logits(self, strip: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return self._discriminator(self._augmented(strip), c)

    def _augmented(self, strip: torch.Tensor) -> torch.Tensor:
        return strip if self.augment_pipe is None else self.augment_pipe(strip, self.augment_p)


def _report_scores(kind: str, logits: torch.Tensor) -> None:
    training_stats.report(f"Loss/scores/{kind}", logits)
    training_stats.report(f"Loss/signs/{kind}", logits.sign())


def _compiled(network: torch.nn.Module, device: torch.device) -> Any:
    """A network's forward pass through `torch.compile`. Raises `ValueError` where it does not work."""
    try:
        torch.compile(torch.sin)(torch.zeros(2, device=device))
    except Exception as error:  # of the compiler, of what it calls, or of a Python that it does not know yet
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        needed = "Triton (pip install triton)" if device.type == "cuda" else "a C++ compiler such as g++"
        raise ValueError(
            f"torch.compile does not work on {device} ({reason}); it needs {needed}; install it or leave --compile out"
        ) from None
    return torch.compile(network.forward, dynamic=False)


@contextlib.contextmanager
def _training(network: torch.nn.Module) -> Iterator[None]:
    """Let gradients reach this network's parameters, and no others, inside the block."""
    network.requires_grad_(True)
    try:
        yield
    finally:
        network.requires_grad_(False)
