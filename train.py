"""Train a video GAN; `python train.py --help` explains the options."""

from stylegan_v_ext.cli.train import train

if __name__ == "__main__":
    train()
