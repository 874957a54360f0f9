"""What one training step of each network computes (StyleGAN2, sections 3 and 4; StyleGAN-V, section 3)."""

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from stylegan_v_ext.engine.protocols import Augmentation, Discriminator, Mapping, Synthesis
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import split_label
from torch_utils import training_stats
from torch_utils.ops import conv2d_gradfix


class StyleGAN2Loss:
    """Non-saturating logistic loss with R1 and, optionally, style mixing and path length regularisation.

    Every step runs forward and backward and leaves the gradients in the networks.

    Args:
        device: Device of the networks.
        G: Generator; its mapping and synthesis networks are called apart.
        D: Discriminator.
        augment_pipe: Augmentation of all that the discriminator sees; None for no augmentation.
        r1_gamma: Weight of the squared gradient of the logits, summed over the strip.
        style_mixing_prob: Share of clips that take the last content rows from a second latent, 0 ... 1.
        pl_weight: Weight of the path length penalty; 0 for no penalty.
        pl_batch_shrink: How many times smaller the batch of the path length step is.
        pl_decay: Decay of the running mean of path lengths, 0 ... 1.
        compiled: Whether the networks run through `torch.compile` in the steps that need first derivatives alone. R1
            and path lengths need second derivatives.

    Attributes:
        augment_p: Probability of the augmentation, 0 ... 1.
        pl_mean: Running mean of path lengths, a scalar tensor.

    Raises:
        ValueError: If `compiled` is asked for and `torch.compile` does not work.
    """

    def __init__(
        self,
        device: torch.device,
        G: VideoGenerator,
        D: torch.nn.Module,
        augment_pipe: Augmentation | None = None,
        *,
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
        self._mapping: Mapping = G.mapping
        self._synthesis: Synthesis = _compiled(G.synthesis, device) if compiled else G.synthesis
        self._discriminator: Discriminator = _compiled(D, device) if compiled else D

    def generator_step(self, z: torch.Tensor, c: torch.Tensor, gain: float = 1) -> torch.Tensor:
        """Gmain: maximise log sigmoid(D(G(z))), the loss is softplus(-D(G(z))) (GAN, section 3, non-saturating).

        Args:
            z: Latents `[N, z_dim]`.
            c: Labels `[N, K + F]`, class and timestamps in frames.
            gain: Weight of this part of the batch.

        Returns:
            The loss of each clip.
        """
        with _training(self.G):
            logits = self._logits(self._synthesis(self._ws(z, c)), c)
            _report_scores("fake", logits)
            loss = F.softplus(-logits)
            training_stats.report("Loss/G/loss", loss)
            loss.mean().mul(gain).backward()
        return loss.detach()

    def path_length_step(self, z: torch.Tensor, c: torch.Tensor, gain: float = 1) -> torch.Tensor:
        """Greg: keep the size of d image / d w near its running mean (StyleGAN2, equation 4).

        Args:
            z: Latents `[N, z_dim]`; the first `N / pl_batch_shrink` are used.
            c: Labels `[N, K + F]`, class and timestamps in frames.
            gain: Weight of this part of the batch.

        Returns:
            The penalty of each clip.
        """
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
        """Dmain: the loss is softplus(D(G(z))) + softplus(-D(x)) for real clips x (GAN, equation 1).

        Args:
            real: Real strips `[N, 3, F*H, W]` with colours of -1 ... 1.
            real_c: Labels of the real clips `[N, K + F]`, class and timestamps in frames.
            z: Latents `[N, z_dim]` of the generated clips.
            c: Labels `[N, K + F]` of the generated clips.
            gain: Weight of this part of the batch.

        Returns:
            The loss of each pair of a generated and a real clip.
        """
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
        """Dreg: R1, gamma / 2 times the squared gradient of the logits at real clips (Mescheder et al. 2018, eq. 9).

        Args:
            real: Real strips `[N, 3, F*H, W]` with colours of -1 ... 1.
            real_c: Labels of the real clips `[N, K + F]`, class and timestamps in frames.
            gain: Weight of this part of the batch.

        Returns:
            The squared gradient of each clip.
        """
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
        """Return rows of `ws`, with the last content rows of some clips taken from another latent."""
        ws = self._mapping(z, c)
        if self.style_mixing_prob <= 0:
            return ws
        num_ws = self.G.num_ws
        # Class alone: the second latent lends content, not motion.
        classes, _ = split_label(c, self.G.num_classes)
        other = self._mapping(torch.randn_like(z), classes, skip_w_avg_update=True)
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


def _compiled(network: torch.nn.Module, device: torch.device) -> Callable[..., torch.Tensor]:
    """Return the forward pass of a network through `torch.compile`. Raises `ValueError` if that does not work."""
    try:
        torch.compile(torch.sin)(torch.zeros(2, device=device))
    except Exception as error:  # the compiler, a program that it calls, or a new Python may fail in any way
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        needed = "Triton (pip install triton)" if device.type == "cuda" else "a C++ compiler such as g++"
        raise ValueError(
            f"torch.compile does not work on {device} ({reason}); it needs {needed}; install it or leave --compile out"
        ) from None
    return torch.compile(network.forward, dynamic=False)


@contextlib.contextmanager
def _training(network: torch.nn.Module) -> Iterator[None]:
    """Let gradients reach this network's parameters, and no others, inside the block."""
    network.requires_grad_(requires_grad=True)
    try:
        yield
    finally:
        network.requires_grad_(requires_grad=False)
