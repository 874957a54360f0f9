"""Stock StyleGAN2-ADA and StyleGAN3 checkouts as engines: their code, unchanged, on our models and data.

    from stylegan_v_ext import host

    with host.entered("~/stylegan3"):  # inside, `training`, `metrics` and `legacy` are modules of the checkout
        from training.augment import AugmentPipe

    python -m stylegan_v_ext.host ~/stylegan3 gen_images.py --help      # runs a script of the checkout in this way

The modules of a checkout run on this project's `torch_utils` and `dnnlib`, with the patches that the installed
versions need (`patches`), applied in memory. Our metrics join the registry of the checkout, and its own metrics see
single frames if the model makes videos.
"""

from stylegan_v_ext.host.checkout import Checkout, recognise
from stylegan_v_ext.host.entering import enter, entered, leave
from stylegan_v_ext.host.importer import import_module
from stylegan_v_ext.host.script import enter_script

__all__ = ["Checkout", "enter", "enter_script", "entered", "import_module", "leave", "recognise"]
