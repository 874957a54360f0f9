"""Files of every format, read back."""

import os

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.writers import write_video


def moving(count=6, height=32, width=48, channels=3):
    ramp = np.linspace(0, 200, width)[None, :, None] + np.zeros([height, 1, channels])
    return [(ramp + 8 * frame).astype(np.uint8) for frame in range(count)]


def read(path, height, width):
    return np.stack(list(VideoReader(str(path)))).astype(int)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", None), ("b.mp4", "h265"), ("c.mp4", "vp9"), ("d.webm", None), ("e.gif", None)]
)
def test_videos_read_back(tmp_path, name, codec):
    assert write_video(tmp_path / name, moving(), fps=10, codec=codec, quality=98) == 6
    frames = read(tmp_path / name, 32, 48)
    assert frames.shape == (6, 32, 48, 3) and np.abs(frames - np.stack(moving())).mean() < 4
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("quality", [95, 100])
def test_animated_webp_reads_back(tmp_path, quality):
    write_video(tmp_path / "a.webp", moving(), fps=10, quality=quality)
    with PIL.Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 6 and image.info["loop"] == 0
        image.seek(5)
        worst = np.abs(np.asarray(image.convert("RGB")).astype(int) - moving()[5]).max()
    assert worst == 0 if quality == 100 else worst < 12


def test_codecs_are_what_was_asked_for(tmp_path):
    for codec, tag in (("h264", b"avc1"), ("h265", b"hvc1"), ("vp9", b"vp09")):
        write_video(tmp_path / f"{codec}.mp4", moving(), fps=10, codec=codec)
        assert tag in (tmp_path / f"{codec}.mp4").read_bytes()


def test_quality_costs_bytes(tmp_path):
    noise = [np.random.randint(0, 255, [64, 64, 3], dtype=np.uint8) for _ in range(5)]
    for ending in ("mp4", "webm", "webp"):
        sizes = []
        for quality in (30, 90, 100):
            write_video(tmp_path / f"{quality}.{ending}", noise, fps=10, quality=quality)
            sizes.append((tmp_path / f"{quality}.{ending}").stat().st_size)
        assert sizes == sorted(sizes) and sizes[0] < 0.8 * sizes[2]


def test_odd_sizes_grow_by_a_pixel(tmp_path):
    write_video(tmp_path / "a.mp4", moving(height=31, width=47), fps=10, quality=98)
    frames = read(tmp_path / "a.mp4", 32, 48)
    assert np.abs(frames[:, :31, :47] - np.stack(moving(height=31, width=47))).mean() < 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_are_rgb_and_exact(tmp_path, channels):
    frames = moving(channels=channels)
    write_video(tmp_path / "a.npy", iter(frames), fps=10)
    array = np.load(tmp_path / "a.npy")
    assert array.dtype == np.uint8 and np.array_equal(array, np.stack([np.broadcast_to(f[..., :3], (32, 48, 3))
                                                                       for f in frames]))  # fmt: skip


def test_image_folders_are_complete_or_not_there(tmp_path):
    assert write_video(tmp_path / "a.png", moving(), fps=10) == 6
    assert sorted(os.listdir(tmp_path / "a")) == [f"{i:06d}.png" for i in range(6)]
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "a" / "000003.png")), moving()[3])
    with pytest.raises(ValueError, match="exists already"):
        write_video(tmp_path / "a.jpg", moving(), fps=10)

    def broken():
        yield from moving(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "b.jpg", broken(), fps=10)
    for name in ("c.png", "c.npy", "c.gif"):
        with pytest.raises(ValueError, match="no frames"):
            write_video(tmp_path / name, [], fps=10)
    assert os.listdir(tmp_path) == ["a"]


def test_wrong_formats_and_codecs_are_named(tmp_path):
    with pytest.raises(ValueError, match="use .mp4, .mov, .mkv, .webm"):
        write_video(tmp_path / "a.wmv", moving(), fps=10)
    with pytest.raises(ValueError, match="does not go into .webm; use vp9"):
        write_video(tmp_path / "a.webm", moving(), fps=10, codec="h264")
    with pytest.raises(ValueError, match="leave the codec out"):
        write_video(tmp_path / "a.gif", moving(), fps=10, codec="h264")


def test_cells_stand_apart_and_have_labels():
    white = np.full([8, 20, 3], 255, dtype=np.uint8)
    sheet = Layout(2, padding=3, labels=["one", "two", "three"], label_height=12).compose([white] * 3)
    assert sheet.shape == (2 * (12 + 8 + 3) + 3, 2 * 23 + 3, 3)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        y, x = 3 + row * 23, 3 + column * 23
        assert (sheet[y + 12 : y + 20, x : x + 20] == 255).all(), "the picture is whole"
        assert 0 < (sheet[y : y + 12, x : x + 20] > 100).sum() < 240, "text above it"
    assert not sheet[26:, 26:].any(), "no picture, no label"
    assert not sheet[:3].any() and not sheet[:, :3].any() and not sheet[-3:].any()
