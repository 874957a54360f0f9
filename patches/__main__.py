"""`python -m patches`: show, write and take out the patches of a checkout."""

import runpy

if __name__ == "__main__":
    runpy.run_module("stylegan_v_ext.cli.patches", run_name="__main__")
