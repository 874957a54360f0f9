"""Generate videos from a trained network; `python gen_video.py --help` explains the options."""

from stylegan_v_ext.cli.gen_video import gen_video

if __name__ == "__main__":
    gen_video()
