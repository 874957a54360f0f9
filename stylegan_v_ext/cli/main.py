"""The `stylegan-v` command."""

import click

from stylegan_v_ext import __version__
from stylegan_v_ext.cli.checkpoint import checkpoint
from stylegan_v_ext.cli.common import Group
from stylegan_v_ext.cli.data import data
from stylegan_v_ext.cli.demo import demo
from stylegan_v_ext.cli.directions import directions
from stylegan_v_ext.cli.doctor import doctor
from stylegan_v_ext.cli.edit import edit
from stylegan_v_ext.cli.gen_video import gen_video
from stylegan_v_ext.cli.metrics import metrics
from stylegan_v_ext.cli.project import project
from stylegan_v_ext.cli.swap import swap
from stylegan_v_ext.cli.train import train
from stylegan_v_ext.cli.view import view


@click.group(cls=Group)
@click.version_option(__version__, prog_name="stylegan-v")
def main() -> None:
    """StyleGAN-V, a continuous-time video GAN: make data sets, train, generate, measure, edit, convert, swap layers."""


main.add_command(data)
main.add_command(train)
main.add_command(gen_video, name="generate")
main.add_command(metrics)
main.add_command(checkpoint)
main.add_command(swap)
main.add_command(project)
main.add_command(edit)
main.add_command(directions)
main.add_command(view)
main.add_command(demo)
main.add_command(doctor)

if __name__ == "__main__":
    main()
