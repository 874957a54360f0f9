"""A table of video files: container x timing x pixel format x rotation. Count, order, rate and colour of the frames."""

import itertools
import subprocess
from fractions import Fraction
from typing import NamedTuple

import imageio_ffmpeg
import numpy as np
import pytest

from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.data.kinds import VIDEO_SUFFIXES, is_animation
from stylegan_v_ext.data.video.timing import UNEQUAL

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
COUNT, WIDTH, HEIGHT = 8, 64, 48
CORNERS = [None, (200, 40, 40), (40, 180, 60), (50, 60, 210)]  # top left: grey that tells the number; then by rows
# Codecs and how they are asked for, with and without loss.
EXACT = """
h264: -c:v libx264 -qp 0 -g 4 -bf 2
h264 open: -c:v libx264 -qp 0 -g 4 -bf 2 -x264-params open-gop=1
rgb: -c:v libx264rgb -qp 0
hevc: -c:v libx265 -x265-params log-level=error:lossless=1
vp9: -c:v libvpx-vp9 -lossless 1
av1: -c:v libaom-av1 -cpu-used 8 -aom-params lossless=1
ffv1: -c:v ffv1
png: -c:v png
qtrle: -c:v qtrle
huffyuv: -c:v huffyuv
utvideo: -c:v utvideo
raw: -c:v rawvideo
apng: -f apng
webp: -c:v libwebp_anim -lossless 1 -f webp
"""
CLOSE = """
mpeg1: -c:v mpeg1video -q 1
mpeg2: -c:v mpeg2video -q 1 -bf 2
mpeg4: -c:v mpeg4 -q 1 -bf 2
wmv2: -c:v wmv2 -q 1
theora: -c:v libtheora -q 10
mjpeg: -c:v mjpeg -q 1
flv1: -c:v flv -q 1
vp8: -c:v libvpx -crf 4 -b:v 4M
prores: -c:v prores_ks -q 1
gif: -filter_complex split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none
"""
EXACT, CLOSE = (dict(line.split(": ", 1) for line in text.strip().splitlines()) for text in (EXACT, CLOSE))
TIMES = {"25": "25", "ntsc": "30000/1001", "10": "10", "fast": "1000", "varied": "25"}
# Ending and codec: pixel formats; times.
ROWS = """
mp4 h264: yuv420p yuv444p yuvj420p yuv422p10le: 25 ntsc varied fast
mp4 hevc: yuv420p yuv420p10le: ntsc varied
mp4 av1: yuv420p: 25 varied
mp4 rgb: rgb24: 10
m4v h264: yuv420p: 25
mov png: rgb24 rgb48be gray16be: 25 varied
mov qtrle: rgb24: ntsc
mov prores: yuv422p10le: 25
3gp h264: yuv420p: 10
3g2 mpeg4: yuv420p: 25
mkv h264 open: yuv420p yuv444p10le: ntsc varied
mkv ffv1: gray16le gbrp gbrp10le yuv422p16le bgr0: 25 varied
mkv rgb: rgb24: fast
mkv vp9: yuv440p: 25
webm vp9: yuv420p yuv444p gbrp: 25 ntsc varied
webm vp8: yuv420p: 10
avi ffv1: yuv420p: ntsc
avi huffyuv: yuv422p: 25
avi utvideo: gbrp: 10
avi mjpeg: yuvj420p: 25
avi raw: bgr24: 25
avi mpeg4: yuv420p: ntsc
ts h264: yuv420p: 25 ntsc varied
mts mpeg2: yuv420p: ntsc
m2ts h264: yuv420p: 10
mpg mpeg1: yuv420p: 25 ntsc
mpeg mpeg2: yuv420p: 25
vob mpeg2: yuv422p: ntsc
mxf mpeg2: yuv422p: 25
flv h264: yuv420p: 25 varied
flv flv1: yuv420p: 10
f4v h264: yuv420p: ntsc
wmv wmv2: yuv420p: 25 ntsc
asf wmv2: yuv420p: 10
ogv theora: yuv420p yuv444p: 25 ntsc
gif gif: rgb24: 25 10 varied
apng apng: rgb24: 25 ntsc varied
webp webp: rgb24: 25 10 varied
"""


class Row(NamedTuple):
    name: str
    ending: str
    codec: str
    form: str
    time: str
    turn: int  # degrees that the picture is turned clockwise for viewing


def rows():
    turns = itertools.cycle((0, 90, 180, 270))
    for line in ROWS.strip().splitlines():
        what, forms, times = (part.strip() for part in line.split(":"))
        ending, _, codec = what.partition(" ")
        times = times.split()
        for number, form in enumerate(forms.split()):
            for time in times if number == 0 else times[number % len(times) :][:1]:
                turn = next(turns) if ending in ("mp4", "mov", "mkv", "m4v", "3gp") else 0
                yield Row(f"{codec}-{form}-{time}-{turn}.{ending}", ending, codec, form, time, turn)


def level(number):
    return 30 + 25 * number


def picture():
    frames = np.zeros([COUNT, HEIGHT, WIDTH, 3], np.uint8)
    half = (slice(0, HEIGHT // 2), slice(HEIGHT // 2, HEIGHT)), (slice(0, WIDTH // 2), slice(WIDTH // 2, WIDTH))
    for corner, colour in enumerate(CORNERS):
        for number in range(COUNT):
            frames[number, half[0][corner // 2], half[1][corner % 2]] = colour or level(number)
    return frames


def write(row, folder):
    options = [*(EXACT | CLOSE)[row.codec].split(), "-pix_fmt", row.form]
    filters = ["scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp"]
    if row.time == "varied":
        filters.append("settb=1/1000,setpts='(N*100+N*N*20)'")
        options += ["-fps_mode", "passthrough", "-enc_time_base", "1:1000"]
    if "-filter_complex" in options:
        place = options.index("-filter_complex") + 1
        options[place] = ",".join([*filters, options[place]])
    else:
        options += ["-vf", ",".join(filters)]
    turn = ["-noautorotate", "-display_rotation", str(-row.turn)] if row.turn else []
    command = [FFMPEG, "-v", "error", "-y", "-threads", "1", *turn, "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-r", TIMES[row.time], "-i", "-", *options, folder / row.name]
    subprocess.run(command, input=picture().tobytes(), check=True)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """{row: (reader, frames)}: written and read once for all tests."""
    folder = tmp_path_factory.mktemp("table")
    found = {}
    for row in rows():
        write(row, folder)
        reader = VideoReader(str(folder / row.name))
        found[row] = (reader, np.stack(list(reader)))
        is_known = row.name.endswith(VIDEO_SUFFIXES) or is_animation(folder / row.name)
        assert is_known, row.name
    return found


def test_the_table_is_large(table):
    assert len(table) >= 60
    assert len({row.ending for row in table}) >= 20 and {row.turn for row in table} == {0, 90, 180, 270}


def faults(table, fault):
    """{name: what is wrong with it} for the rows of which `fault(row, reader, frames)` gives something."""
    found = {row.name: fault(row, reader, frames) for row, (reader, frames) in table.items()}
    return {name: text for name, text in found.items() if text}


def quarters(row, frames):
    """Mean colour `[T, 4, 3]` of the inner part of each corner of the picture, as it was before it was turned."""
    back = np.rot90(frames, row.turn // 90, axes=(1, 2)).astype(float)
    height, width = back.shape[1:3]
    inner = [back[:, y : y + height // 4, x : x + width // 4] for y in (height // 8, 5 * height // 8)
             for x in (width // 8, 5 * width // 8)]  # fmt: skip
    return np.stack([part.mean(axis=(1, 2)) for part in inner], axis=1)


def test_every_frame_comes_once_in_order_and_whole(table):
    def fault(row, reader, frames):
        shape = (COUNT, WIDTH, HEIGHT, 3) if row.turn in (90, 270) else (COUNT, HEIGHT, WIDTH, 3)
        if frames.shape != shape or reader.damage:
            return f"{frames.shape}, {reader.damage}"
        numbers = np.round((quarters(row, frames)[:, 0].mean(axis=1) - 30) / 25).tolist()
        return "" if numbers == list(range(COUNT)) else f"order {numbers}"

    assert faults(table, fault) == {}


def test_colours_are_those_that_went_in(table):
    def fault(row, reader, frames):
        wanted = np.array([[colour or (level(number),) * 3 for colour in CORNERS] for number in range(COUNT)], float)
        if row.form.startswith("gray"):
            wanted = (wanted @ (0.299, 0.587, 0.114))[..., None].repeat(3, axis=-1)
        error = np.abs(quarters(row, frames) - wanted).max()
        return "" if error <= (2 if row.codec in EXACT else 6) else f"{error:.1f} levels"

    assert faults(table, fault) == {}


def test_rates_are_exact_or_said_to_be_unequal(table):
    def fault(row, reader, frames):
        if row.time == "varied":
            return "" if UNEQUAL in reader.notes and 3 < reader.fps < 6 else f"{reader.fps}, {reader.notes}"
        exact = float(Fraction(TIMES[row.time]))
        if row.ending in ("gif", "webp", "apng") or reader.notes:
            return (
                "" if abs(reader.fps - exact) < 0.01 * exact and not reader.notes else f"{reader.fps}, {reader.notes}"
            )
        return "" if reader.fps == exact else f"{reader.fps}"

    assert faults(table, fault) == {}


def test_hidden_frames_late_starts_and_missing_rates(tmp_path):
    """An edit list hides frames, sound begins first, and a browser writes times of its own but no rate."""

    def ffmpeg(*words):
        subprocess.run([FFMPEG, "-v", "error", "-y", *map(str, words)], input=picture().tobytes(), check=True)

    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-")
    ffmpeg(*raw, *EXACT["h264"].split(), tmp_path / "whole.mp4")
    ffmpeg("-ss", "0.05", "-i", tmp_path / "whole.mp4", "-c", "copy", tmp_path / "edited.mp4")
    sound = ("-f", "lavfi", "-i", "sine=d=1", "-map", "0:v", "-map", "1:a", "-c:v", "copy")
    ffmpeg("-itsoffset", "0.8", "-i", tmp_path / "whole.mp4", *sound, tmp_path / "late.mp4")
    late = "settb=1/1000,setpts='N*40+mod(N*7,5)*3'"
    options = ("-vf", late, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", *EXACT["vp9"].split())
    ffmpeg(*raw, *options, tmp_path / "browser.webm")
    data = bytearray((tmp_path / "browser.webm").read_bytes())
    place = data.find(bytes.fromhex("23e383"))  # the rate becomes filling
    size = 4 + (data[place + 3] & 0x7F)
    data[place : place + size] = b"\xec" + bytes([0x80 | (size - 2)]) + bytes(size - 2)
    (tmp_path / "browser.webm").write_bytes(data)
    for name, numbers in {"edited.mp4": range(2, 8), "late.mp4": range(8), "browser.webm": range(8)}.items():
        for fps in (None, 25):
            reader = VideoReader(str(tmp_path / name), fps=fps)
            seen = np.stack(list(reader))[:, 5:15, 5:15].mean(axis=(1, 2, 3))
            assert np.round((seen - 30) / 25).tolist() == list(numbers), (name, fps)
            assert reader.fps == pytest.approx(25, rel=0.02 if name == "browser.webm" else 1e-9) and not reader.damage
