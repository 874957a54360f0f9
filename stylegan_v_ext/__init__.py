"""StyleGAN-V, a continuous-time video GAN: a plugin for StyleGAN2-ADA / StyleGAN3 codebases that also works alone."""

__version__ = "0.1.0"
