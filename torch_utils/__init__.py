"""PyTorch infrastructure shared by every StyleGAN codebase: persistence, statistics, ops.

The public names follow NVLabs' `torch_utils`, so stock code and old pickles import this package
unchanged.
"""
