"""The built-in engine: augmentation, losses, training loop, sample grids, logs."""
