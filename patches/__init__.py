"""What stock StyleGAN checkouts need on today's Python and PyTorch, one module an incompatibility.

Empty so far: the built-in engine needs none of it.
"""
