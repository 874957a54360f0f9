"""Names that people know from stylegan2-ada-pytorch and stylegan3, and what to use here instead."""

import click

_IMAGE_MODEL = "here --cfg=stylegan2 trains an image model and --cfg=stylegan-v videos; sizes follow the resolution"
_ALIAS_FREE = "this project trains no alias-free models; use their own checkout, or --cfg=stylegan-v for videos"
_CFG = {
    **dict.fromkeys(["auto", "fastgan", "cifar", "paper256", "paper512", "paper1024"], _IMAGE_MODEL),
    **dict.fromkeys(["stylegan", "stylegan2-ada"], _IMAGE_MODEL),
    **dict.fromkeys(("stylegan3", "stylegan3-t", "stylegan3-r"), _ALIAS_FREE),
}
_NETWORKS = ("ffhq256", "ffhq512", "ffhq1024", "celebahq256", "lsundog256")
"""Short names of published networks in stylegan2-ada-pytorch."""


class Preset(click.Choice):
    """A choice of presets; for a name of another repository the message says what to use here."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return a preset. Fail for any other value."""
        if value in _CFG:
            self.fail(f"{value!r} is a name of another repository; {_CFG[str(value)]}", param, ctx)
        return super().convert(value, param, ctx)


def check_resume(resume: str | None) -> None:
    """Raise `ValueError` for values of --resume that only stylegan2-ada-pytorch knows.

    Args:
        resume: Value of --resume; None passes.

    Raises:
        ValueError: If the value is such a name; the message says what to give instead.
    """
    if resume == "noresume":
        raise ValueError("--resume=noresume: a run without --resume is a new one; leave --resume out")
    if resume in _NETWORKS:
        raise ValueError(
            f"--resume={resume} is a short name of stylegan2-ada-pytorch; download that network and give its file or "
            "URL: an image model of StyleGAN2 with the resolution of the data starts a video model"
        )
