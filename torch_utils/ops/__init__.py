"""Image ops of the StyleGAN family in plain PyTorch: any device, any order of differentiation."""
