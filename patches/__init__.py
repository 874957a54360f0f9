"""What stock StyleGAN checkouts need on today's Python and PyTorch, one module for each incompatibility.

    python -m patches list            show all patches, with the error that each of them cures
    python -m patches check DIR       show which patches a checkout needs here, and which are in force
    python -m patches apply DIR       write the patches into a checkout, after showing the difference
    python -m patches revert DIR      take the patches out again, to the byte

A patch is a few regular expressions with the text that takes the place of a match. `stylegan_v_ext.host` applies
the patches in memory while it imports a checkout; `apply` writes the same edits into files. A patch holds no
code of the checkouts, and this package needs nothing of `stylegan_v_ext` but the command above.
"""

from patches.patch import Edit, Patch, all_patches, edited, needed_patches

__all__ = ["Edit", "Patch", "all_patches", "edited", "needed_patches"]
