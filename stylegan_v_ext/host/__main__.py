"""`python -m stylegan_v_ext.host DIR SCRIPT [ARGUMENTS]`: run a script of a checkout on today's Python and PyTorch."""

import runpy

if __name__ == "__main__":
    runpy.run_module("stylegan_v_ext.cli.host", run_name="__main__")
