"""What stock StyleGAN checkouts need on today's Python and PyTorch, one module an incompatibility.

    python -m patches list            what there is, with the error that each one cures
    python -m patches check DIR       which a checkout needs here, and which are in force
    python -m patches apply DIR       write them into it; shows the difference first
    python -m patches revert DIR      take them out again, to the byte

A patch is a few regular expressions with what to put in place of a match. `stylegan_v_ext.host` applies
them in memory while it imports a checkout; `apply` writes the same edits into files. A patch holds no
code of the checkouts.
"""

from patches.patch import Edit, Patch, all_patches, edited, needed_patches

__all__ = ["Edit", "Patch", "all_patches", "edited", "needed_patches"]
