"""Training of the small host."""

import click
from metrics import metric_main


@click.command()
@click.option("--cfg", help="Base configuration", type=click.Choice(["stylegan3-t", "stylegan2"]), required=True)
@click.option("--outdir", required=True)
def main(cfg, outdir):
    """Train images."""
    opts = dict(class_name="torch.optim.Adam", betas=[0, 0.99])
    click.echo(f"{cfg} {outdir} {opts['betas']} {len(metric_main.list_valid_metrics())}")


if __name__ == "__main__":
    main()
