"""Reading video files of strangers: facts, damage, limits, and that no other file or address is ever opened."""

import contextlib
import http.server
import itertools
import json
import os
import re
import struct
import subprocess
import sys
import threading

import imageio_ffmpeg
import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data import ffmpeg
from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
from stylegan_v_ext.data.ffmpeg import FfmpegError, VideoReader
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.kinds import VIDEO_SUFFIXES, is_animation
from stylegan_v_ext.data.video import decoder, process
from stylegan_v_ext.data.video.timing import UNEQUAL, UNKNOWN
from stylegan_v_ext.generate.writers import write_video

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SIDE = 32


def encode(path, *options, frames=None, fps=10, inputs=()):
    """Frames uint8 `[T, H, W, 3]`, 6 of noise unless given, through ffmpeg; options: of the output."""
    frames = noise(6) if frames is None else frames
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{frames.shape[2]}x{frames.shape[1]}", "-r", str(fps)]
    command = [FFMPEG, "-v", "error", "-y", *raw, "-i", "pipe:0", *inputs, *options, f"file:{path}"]
    subprocess.run(command, input=frames.tobytes(), check=True)
    return path


def noise(count, side=64):
    return np.random.default_rng(0).integers(0, 256, [count, side, side, 3], dtype=np.uint8)


def read(path, fps=None):
    """(reader, frames `[T, SIDE, SIDE, 3]`)."""
    reader = VideoReader(str(path), Geometry((SIDE, SIDE)), fps)
    return reader, np.stack(list(itertools.islice(reader, 1000)))


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    """A video that nobody has named."""
    return encode(tmp_path_factory.mktemp("secret") / "secret.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")


@pytest.fixture(scope="module")
def server(secret):
    """(address of a server that offers the secret, the requests it got)."""
    hits = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(secret.read_bytes())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}", hits
        site.shutdown()


def playlists(target):
    """Files that name another one."""
    hls = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n"
    yield "ffconcat", f"ffconcat version 1.0\nfile '{target}'\n"
    yield "ffconcat options", f"ffconcat version 1.0\nfile '{target}'\noption protocol_whitelist file,http,tcp\n"
    yield "ffconcat stream", f"ffconcat version 1.0\nstream\nexact_stream_id 1\nfile '{target}'\n"
    yield "hls", f"{hls}#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n"
    yield "hls map", f'{hls}#EXT-X-MAP:URI="{target}"\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n'
    yield "hls key", f'{hls}#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n'
    yield "hls master", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"
    yield "hls with a gif's head", f"GIF89a\n{hls}#EXTINF:1,\n{target}\n"
    yield (
        "dash",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        '<Representation id="0" bandwidth="1" width="64" height="64">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    )
    yield "imf", f'<?xml version="1.0"?><CompositionPlaylist><Url>{target}</Url></CompositionPlaylist>'
    yield (
        "sdp",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    )
    yield "rtsp redirect", f"rtsptext{target}\n"
    yield "asx", f'<ASX version="3.0"><Entry><Ref href="{target}"/></Entry></ASX>'
    yield "vapoursynth", f"import os\nopen({target!r})\n"
    yield "avisynth", f'FFmpegSource2("{target}")\n'
    for protocol in (
        "concat:{0}|{0}",
        "subfile,,start,0,end,9999,,:{0}",
        "crypto:{0}",
        "async:{0}",
        "cache:{0}",
        "data:{0}",
    ):
        yield protocol.partition(":")[0], f"{protocol.format(target)}\n"


@pytest.mark.parametrize("where", ["file", "server"])
def test_no_playlist_is_opened_whatever_its_ending(tmp_path, secret, server, where):
    address, hits = server
    target = secret if where == "file" else f"{address}/secret.mp4"
    count = 0
    for (name, text), suffix in zip(playlists(target), itertools.cycle(VIDEO_SUFFIXES)):
        path = tmp_path / f"{count}{suffix}"
        path.write_text(text)
        with pytest.raises(FfmpegError, match="holds no readable video"):
            pytest.fail(f"{name}: {len(read(path)[1])} frames")
        count += 1
    assert count > 20 and hits == []
    # As a check of the check: ffmpeg itself does open the first of them.
    command = [FFMPEG, "-v", "error", "-safe", "0", "-protocol_whitelist", "file,http,tcp",
               "-f", "concat", "-i", tmp_path / f"0{VIDEO_SUFFIXES[0]}", "-f", "null", "-"]  # fmt: skip
    assert subprocess.run(command, capture_output=True).returncode == 0 and bool(hits) == (where == "server")


def boxes(data, start=0, end=None):
    """(type, start, end) of the boxes of an mp4 file at one level."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        yield kind, start, start + size
        start += max(size, 8)


def find_box(data, *path):
    """[(start, end) of the boxes on the way] to the first box of a path."""
    start, end, way = 0, len(data), []
    for kind in path:
        start, end = next((s, e) for found, s, e in boxes(data, start, end) if found == kind)
        way.append((start, end))
        start += 8
    return way


TRACK = (b"moov", b"trak", b"mdia")
TABLE = (*TRACK, b"minf", b"stbl")


def test_references_inside_a_mov_are_not_followed(tmp_path, secret):
    data = bytearray(secret.read_bytes())
    way = find_box(data, *TRACK, b"minf", b"dinf", b"dref")
    start, end = way[-1]
    path = str(secret).encode()
    alias = bytes(10) + bytes([3]) + b"vol".ljust(27, b"\0") + bytes(12) + bytes([len(secret.name)])
    alias += secret.name.encode().ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    alias += struct.pack(">hh", 2, len(path)) + path + bytes(len(path) % 2) + struct.pack(">hh", 18, 1) + b"/\0"
    alias += struct.pack(">hh", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    for parent, stop in way[:-1]:
        struct.pack_into(">I", data, parent, stop - parent + len(box) - (end - start))
    mdat = find_box(data, b"mdat")[0]
    assert mdat[0] < start, "offsets of pictures do not move"
    data[start:end] = box
    data[mdat[0] + 8 : mdat[1]] = bytes(mdat[1] - mdat[0] - 8)
    (tmp_path / "reference.mov").write_bytes(data)
    with pytest.raises(FfmpegError, match="holds no readable video"):
        read(tmp_path / "reference.mov")


WORDS = (
    r"-i a:b file:x http:x https:127.0.0.1 concat:a|b data:text pipe:0 fd:0 %d %03d %% a'b a\b a;b $(id) ä ٣ [in] "
    "crop=1 subfile,,start,0,end,0,,:x"
)
STRANGE_NAMES = [
    *WORDS.split(), "-y -f mp4", 'a"b', "a\nb", "\x1b[31m", "a b", "Video: 7 fps", "Invalid data",
    "error while decoding", "partial file", "Duration: 00:00:1.2.3",
]  # fmt: skip


def test_a_name_is_a_name(tmp_path, secret, monkeypatch):
    whole = read(secret)[1]
    for name in [*STRANGE_NAMES, "\udcff\udc80"]:
        (tmp_path / f"{name}.mp4").write_bytes(secret.read_bytes())
        reader, frames = read(tmp_path / f"{name}.mp4")
        assert np.array_equal(frames, whole) and not reader.damage
        assert (reader.fps, reader.duration) == (10, pytest.approx(0.6))
    for name in ("a\nb\x1b[31m", "\udcff\udc80"):
        (tmp_path / f"{name}.mp4").write_bytes(b"nothing")
        with pytest.raises(FfmpegError) as error:
            read(tmp_path / f"{name}.mp4")
        assert str(error.value).isprintable()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-i.mp4").write_bytes(secret.read_bytes())
    assert np.array_equal(read("-i.mp4")[1], whole)


TITLES = [
    "Video: 1.2.3 fps", "Video: 7 fps", "Duration: 00:00:1.2.3", "Duration: N/A", "Output #0",
    "Output #0\n Video: 7 fps",
    "Invalid data", "error while decoding", "partial file", "\x1b[2J", "x" * 100_000, "٣", "%s%n", '{"end": "x"}',
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_titles_tell_nothing_about_the_video(tmp_path, suffix):
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    plain = encode(tmp_path / f"plain{suffix}", "-c:v", codec, "-pix_fmt", "yuv420p")
    for title in TITLES:
        tags = [part for key in ("title", "comment", "artist") for part in ("-metadata", f"{key}={title}")]
        stream = ["-metadata:s:v", f"title={title}", "-metadata:s:v", f"handler_name={title}"]
        path = tmp_path / f"a{suffix}"
        command = [FFMPEG, "-v", "error", "-y", "-i", plain, "-c", "copy", *tags, *stream, path]
        subprocess.run(command, check=True)
        reader, frames = read(path)
        assert len(frames) == 6 and not reader.damage
        assert (reader.fps, reader.duration) == (10, pytest.approx(0.6, abs=0.01))


def test_titles_need_not_be_text(tmp_path):
    path = encode(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-metadata", "title=" + "q" * 40)
    path.write_bytes(path.read_bytes().replace(b"q" * 40, b"\xff\xfe\x80" * 13 + b"\0"))
    assert len(read(path)[1]) == 6


SOUND = {
    "h264.mp4": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "h264.mkv": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-q", "3"],
    "mjpeg.avi": ["-c:v", "mjpeg", "-q", "3"],
    "hevc.mov": ["-c:v", "libx265", "-x265-params", "log-level=error"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-cpu-used", "8"],
    "mpeg2.ts": ["-c:v", "mpeg2video", "-q", "3"],
    "h264.ts": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "h264.flv": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "wmv2.wmv": ["-c:v", "wmv2", "-q", "3"],
    "theora.ogv": ["-c:v", "libtheora", "-q", "8"],
    "mpeg1.mpg": ["-c:v", "mpeg1video", "-q", "3"],
    "mpeg2.mxf": ["-c:v", "mpeg2video", "-q", "3"],
    "ffv1.mkv": ["-c:v", "ffv1"],
    "prores.mov": ["-c:v", "prores_ks"],
    "a.gif": [],
    "a.apng": ["-f", "apng"],
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("damage", ["overwritten", "cut"])
def test_frames_before_the_damage_are_those_of_the_sound_file(tmp_path, name, damage):
    sound = encode(tmp_path / name, *SOUND[name], "-g", "10", frames=noise(40), fps=25)
    data = bytearray(sound.read_bytes())
    if damage == "cut" and name.endswith((".mp4", ".mov")):  # its index lies at the end: nothing is left without
        data = bytearray(encode(sound, *SOUND[name], "-movflags", "+faststart", frames=noise(40), fps=25).read_bytes())
    whole = read(sound)[1]
    middle = len(data) // 2 + 100  # a transport stream that ends between two frames looks sound
    if damage == "cut":
        del data[middle:]
    else:
        data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    (tmp_path / f"bad-{name}").write_bytes(data)
    reader, frames = read(tmp_path / f"bad-{name}")
    assert reader.damage and 4 < len(frames) < 40
    assert np.array_equal(frames, whole[: len(frames)])
    assert len(read(tmp_path / f"bad-{name}")[1]) == len(frames), "the same every time"


def test_damage_that_one_check_alone_can_see_is_seen(tmp_path):
    def flip(data, place):
        data[place] ^= 0x55

    def wipe(data, place):
        data[place : place + 200] = bytes(200)

    def lose(data, place):
        del data[place : place + 100]

    changes = {
        "a.mkv": (flip, "-c:v", "ffv1"), "a.dv": (wipe, "-c:v", "dvvideo", "-s", "720x576", "-r", "25"),
        "a.avi": (lose, "-c:v", "huffyuv"), "b.avi": (lose, "-c:v", "rawvideo", "-pix_fmt", "bgr24"),
        "a.mxf": (lose, "-c:v", "mpeg2video", "-q", "3"),
    }  # fmt: skip
    for name, (change, *options) in changes.items():
        path = encode(tmp_path / name, *options, frames=noise(12), fps=25)
        whole = read(path)[1]
        assert len(whole) == 12
        data = bytearray(path.read_bytes())
        change(data, len(data) * 6 // 10)
        path.write_bytes(data)
        reader, frames = read(path)
        sound = len(frames) - 2 * (name == "a.dv")  # what is deinterlaced shows something of the frames beside it
        assert reader.damage and 4 <= len(frames) < 10, name
        assert np.array_equal(frames[:sound], whole[:sound]), name


def test_converting_says_how_many_frames_of_a_damaged_video_are_used(tmp_path):
    path = encode(tmp_path / "a.mkv", *SOUND["h264.mkv"], frames=noise(40), fps=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    count = len(read(path)[1])
    report = convert_dataset(str(tmp_path), str(tmp_path / "out.zip"), ConvertOptions(Geometry((32, 32)), workers=1))
    assert re.search(rf"a.mkv is damaged; the {count} frames before the damage are used", report.notes[0])


def test_a_cut_webp_and_files_that_are_no_videos_are_named(tmp_path):
    path = encode(tmp_path / "a.webp", "-c:v", "libwebp_anim", "-f", "webp", frames=noise(8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        reader, frames = read(path)
        assert reader.damage == "it is cut off" and len(frames) < 8
    except FfmpegError as error:
        assert "it is cut off" in str(error)
    still = encode(tmp_path / "still.avif", "-c:v", "libaom-av1", "-cpu-used", "8", frames=noise(1))
    kinds = {
        "a web page": b"<!DOCTYPE html>\n<html><body>404</body></html>", "a text": "nicht gefunden ä".encode() * 9,
        "an archive": b"PK\3\4" + bytes(100), "a PDF": b"%PDF-1.7 \xff", "a still picture": still.read_bytes(),
        "only zeros": bytes(5000), "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid",
    }  # fmt: skip
    for suffix in (".mp4", ".ts", ".mpg", ".webp"):
        for kind, data in kinds.items():
            (tmp_path / f"b{suffix}").write_bytes(data)
            with pytest.raises(FfmpegError, match=f"b{suffix} holds no readable video .it (is|holds) {kind}"):
                read(tmp_path / f"b{suffix}")


def test_animations_are_told_from_stills(tmp_path):
    for ending, options in {
        "webp": ("-c:v", "libwebp_anim", "-f", "webp"), "avif": ("-c:v", "libaom-av1", "-cpu-used", "8"),
        "png": ("-f", "apng"),
    }.items():  # fmt: skip
        moving = encode(tmp_path / f"moving.{ending}", *options, frames=noise(3))
        options = ("-c:v", "libwebp") if ending == "webp" else () if ending == "png" else options
        still = encode(tmp_path / f"still.{ending}", *options, "-frames:v", "1", frames=noise(1))
        assert is_animation(moving) and not is_animation(still) and len(read(moving)[1]) == 3
    assert not is_animation(tmp_path / "missing.webp") and not is_animation("a.jpg")


def test_a_file_cut_off_between_two_frames_is_named(tmp_path):
    for suffix, codec in ((".mkv", "libx264"), (".webm", "libvpx-vp9")):
        path = encode(tmp_path / f"a{suffix}", "-c:v", codec, "-pix_fmt", "yuv420p", frames=noise(40), fps=25)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        reader, frames = read(path)
        assert re.fullmatch(r"it ends after [01]\.\d of 1\.6 seconds", reader.damage) and 5 < len(frames) < 35


def test_a_live_recording_that_is_cut_off_is_named(tmp_path):
    path = encode(tmp_path / "a.webm", "-c:v", "libvpx", "-g", "1", "-live", "1", frames=noise(12), fps=25)
    whole, data = read(path)[1], path.read_bytes()
    assert len(whole) == 12
    path.write_bytes(data[: len(data) * 2 // 3])
    reader, frames = read(path)
    assert reader.damage == "it is cut off" and np.array_equal(frames, whole[: len(frames)]) and len(frames) > 3
    path.write_bytes(data[:300])
    with pytest.raises(FfmpegError, match="it is cut off"):
        read(path)


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg1video", "libx264"])
@pytest.mark.parametrize("ending", ["ts", "m2ts"])
def test_short_transport_streams_are_read(tmp_path, ending, codec):
    for count in (1, 2, 5):
        frames = np.full([count, 32, 32, 3], 90, np.uint8)
        path = encode(tmp_path / f"a.{ending}", "-c:v", codec, "-pix_fmt", "yuv420p", frames=frames, fps=25)
        reader, found = read(path)
        assert len(found) == count and not reader.damage and abs(int(found[-1].mean()) - 90) <= 2


@pytest.mark.parametrize("name, codec", [("a.y4m", "wrapped_avframe"), ("a.ivf", "libvpx-vp9")])
def test_files_of_codec_research_are_read_and_a_cut_is_noticed(tmp_path, name, codec):
    shades = np.broadcast_to(np.arange(30, 110, 10, dtype=np.uint8)[:, None, None, None], [8, 32, 32, 3]).copy()
    path = encode(tmp_path / name, "-c:v", codec, "-pix_fmt", "yuv420p", "-g", "1", frames=shades, fps="24000/1001")
    reader, frames = read(path)  # all pixels of Y4M are ASCII here, as in a text
    assert np.abs(frames[:, 9, 9, 0].astype(int) - shades[:, 9, 9, 0]).max() <= 3
    assert reader.fps == pytest.approx(24000 / 1001) and not reader.damage
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    reader, frames = read(path)
    assert reader.damage and 3 <= len(frames) <= 6


def test_one_of_several_video_tracks_is_used_as_a_note_says_and_no_cover(tmp_path):
    small = encode(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    large = encode(tmp_path / "b.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", frames=noise(6, 96))
    PIL.Image.new("RGB", (200, 200)).save(tmp_path / "cover.jpg")

    def join(name, *inputs, options=()):
        sources = [part for path in inputs for part in ("-i", str(path))]
        maps = [part for number in range(len(inputs)) for part in ("-map", str(number))]
        subprocess.run([FFMPEG, "-v", "error", *sources, *maps, "-c", "copy", *options, tmp_path / name], check=True)
        return VideoReader(str(tmp_path / name))

    reader = join("two.mp4", small, large)
    assert [frame.shape[0] for frame in reader] == [96] * 6
    assert reader.notes == ("it has 2 video tracks; number 2 is used",)
    for name, options in ("flag.mp4", ["-disposition:v:0", "attached_pic"]), ("plain.mp4", []):
        reader = join(name, tmp_path / "cover.jpg", small, options=options)
        assert [frame.shape[0] for frame in reader] == [64] * 6 and not reader.notes
    sound = tmp_path / "sound.mp4"
    subprocess.run([FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=d=0.1", sound], check=True)
    with pytest.raises(FfmpegError, match="it has no video track, only a cover"):
        list(join("song.mp4", sound, tmp_path / "cover.jpg", options=["-disposition:v:0", "attached_pic"]))


@pytest.mark.parametrize("bf", [1, 3])
def test_frames_of_avi_that_are_not_stored_in_order_have_equal_times(tmp_path, bf):
    path = encode(tmp_path / "a.avi", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", str(bf), frames=noise(12))
    reader, frames = read(path)
    assert len(frames) == 12 and reader.fps == 10 and not reader.notes
    assert len(read(path, fps=10)[1]) == 12


def test_a_reader_that_leaves_early_has_the_facts_of_what_it_has_read(tmp_path):
    changes = "setpts='if(lt(N,20),N,20+(N-20)*(N-20))/24/TB'"  # 24 frames a second, from the 21st on ever fewer
    path = encode(tmp_path / "a.mkv", "-vf", changes, "-fps_mode", "passthrough", "-c:v", "ffv1",
                  frames=noise(40, 32), fps=24)  # fmt: skip
    equal, unequal = VideoReader(str(path)), VideoReader(str(path))
    assert len(list(itertools.islice(equal, 20))) == 20 and (equal.fps, equal.notes) == (24, ())
    assert len(list(itertools.islice(unequal, 30))) == 30 and unequal.notes == (UNEQUAL,)
    assert unequal.fps == pytest.approx(29 * 24 / (20 + 9 * 9), rel=1e-3)
    parts = [
        encode(tmp_path / f"{curve}.ts", "-vf", f"setparams=color_trc={curve}:color_primaries=bt709", "-c:v", "libx264",
               "-pix_fmt", "yuv420p", frames=noise(5)).read_bytes() for curve in ("bt709", "smpte2084")
    ]  # fmt: skip
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    for count in (5, 6):
        reader = VideoReader(str(tmp_path / "a.ts"))
        assert len(list(itertools.islice(reader, count))) == count
        assert reader.notes == ("HDR (PQ) is tone-mapped to SDR",) * (count == 6)


@pytest.mark.parametrize(
    ("ending", "codec", "fps"),
    [("mp4", "libx264", 24), ("mov", "png", 24), ("avi", "mpeg4", 24), ("ogv", "libtheora", 24),
     ("mxf", "mpeg2video", 24), ("ts", "libx264", None), ("mpg", "mpeg2video", None), ("webm", "libvpx-vp9", None),
     ("gif", "gif", None), ("y4m", "wrapped_avframe -pix_fmt yuv420p", 24)],
)  # fmt: skip
def test_one_frame_has_a_rate_only_if_the_file_itself_holds_it(tmp_path, ending, codec, fps):
    for count in (1, 3):  # a file of one frame, and a reader that leaves after the first one
        path = encode(tmp_path / f"{count}.{ending}", "-c:v", *codec.split(), frames=noise(count), fps=24)
        reader = VideoReader(str(path))
        assert len(list(itertools.islice(reader, 1))) == 1
        assert (reader.fps, reader.notes) == (fps, () if fps else (UNKNOWN,))
    if ending in ("mp4", "webm"):
        changes = ("-vf", "setpts='N*N/24/TB'", "-fps_mode", "passthrough")
        reader = VideoReader(str(encode(tmp_path / f"v.{ending}", *changes, "-c:v", codec, frames=noise(5), fps=24)))
        assert len(list(itertools.islice(reader, 1))) == 1 and reader.fps is None


def test_frames_without_a_delay_take_a_tenth_of_a_second_as_in_browsers(tmp_path):
    stills = [PIL.Image.new("RGB", (32, 32), (50 * number, 0, 0)) for number in range(4)]
    for name in ("a.gif", "a.webp", "a.apng"):
        path = tmp_path / name
        kind = {"format": "PNG"} if name == "a.apng" else {}
        stills[0].save(path, save_all=True, append_images=stills[1:], duration=0, **kind)
        reader, frames = read(path, fps=10)
        assert reader.fps == 10 and len(frames) == 4, name
        assert read(path)[0].fps == pytest.approx(10), name


def test_what_holds_no_picture_is_named_with_its_reason(tmp_path, secret):
    sound = ("-f", "lavfi", "-i", "sine=d=1")
    encode(tmp_path / "sound.mp4", "-map", "1:a", "-c:a", "aac", inputs=sound)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "short.gif").write_bytes(b"GIF89a")
    (tmp_path / "no-index.mp4").write_bytes(secret.read_bytes()[:500])
    os.mkdir(tmp_path / "folder.mp4")
    reasons = {
        "sound.mp4": "no video track", "empty.mp4": "it is empty", "short.gif": "",
        "no-index.mp4": "moov atom not found", "folder.mp4": "it is a folder", "nothing.mp4": "No such file",
    }  # fmt: skip
    for name, reason in reasons.items():
        with pytest.raises(FfmpegError, match=rf"{name} holds no readable video \(.*({reason})"):
            read(tmp_path / name)


def test_pictures_are_turned_upright(tmp_path):
    picture = np.zeros([4, 64, 64, 3], dtype=np.uint8)
    picture[:, :32, :32], picture[:, :32, 32:], picture[:, 32:, :32] = 250, 160, 80
    flat = encode(tmp_path / "flat.mp4", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p", frames=picture)
    # Rows of the matrix a b u, c d v, x y w -> brightness of the four quarters that are seen.
    turns = {
        (1, 0, 0, 1): [250, 160, 80, 0], (0, 1, -1, 0): [80, 250, 0, 160], (-1, 0, 0, -1): [0, 80, 160, 250],
        (0, -1, 1, 0): [160, 0, 250, 80], (-1, 0, 0, 1): [160, 250, 0, 80], (1, 0, 0, -1): [80, 0, 250, 160],
        (0, 1, 1, 0): [250, 80, 160, 0], (0, -1, -1, 0): [0, 160, 80, 250],
    }  # fmt: skip
    for (a, b, c, d), quarters in turns.items():
        data = bytearray(flat.read_bytes())
        start, _ = find_box(data, b"moov", b"trak", b"tkhd")[-1]
        values = [value << 16 for value in (a, b)] + [0] + [value << 16 for value in (c, d)] + [0, 0, 0, 1 << 30]
        struct.pack_into(">9i", data, start + 48, *values)
        (tmp_path / "turned.mp4").write_bytes(data)
        frame = read(tmp_path / "turned.mp4")[1][2].mean(axis=2)
        seen = [frame[8, 8], frame[8, 24], frame[24, 8], frame[24, 24]]
        assert np.abs(np.array(seen) - quarters).max() < 6, (a, b, c, d)


def test_frames_are_taken_as_they_are_and_resampled_on_request(tmp_path):
    level = (np.arange(12) * 16 + 20).astype(np.uint8)
    frames = np.broadcast_to(level[:, None, None, None], [12, 64, 64, 3])
    times = "setpts='N*N/25/TB'"  # each frame is shown longer than the one before it
    path = encode(tmp_path / "a.mkv", "-vf", times, "-fps_mode", "passthrough", "-c:v", "libx264", "-qp", "0",
                  "-pix_fmt", "yuv444p", frames=frames, fps=25)  # fmt: skip
    numbers = np.round((read(path)[1].mean(axis=(1, 2, 3)) - 20) / 16).astype(int).tolist()
    assert numbers == list(range(12))
    reader, resampled = read(path, fps=25)
    numbers = np.round((resampled.mean(axis=(1, 2, 3)) - 20) / 16).astype(int).tolist()
    assert numbers[:122] == [int(time**0.5) for time in range(122)] and reader.fps == 25


def patched(path, where, offset, *values, form=">I"):
    """An mp4 file with numbers of a box replaced; offset: in bytes behind the box's head."""
    data = bytearray(path.read_bytes())
    start, _ = find_box(data, *where)[-1]
    for number, value in enumerate(values):
        struct.pack_into(form, data, start + 8 + offset + number * struct.calcsize(form), value)
    path.write_bytes(data)
    return path


def test_absurd_rates_and_times_are_bounded(tmp_path):
    def mp4():
        return encode(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0", "-use_editlist", "0")

    fast = patched(patched(mp4(), (*TRACK, b"mdhd"), 12, 1_000_000_000), (*TABLE, b"stts"), 12, 1)
    reader, frames = read(fast)
    assert len(frames) == 6 and reader.fps is None and not reader.damage
    slow = patched(patched(mp4(), (*TRACK, b"mdhd"), 12, 1), (*TABLE, b"stts"), 12, 100_000_000)
    reader, frames = read(slow)
    assert len(frames) == 6 and not reader.damage
    for fps in (10, 500):
        reader, frames = read(slow, fps=fps)
        assert "its time jumps" in reader.damage and len(frames) == 1


def test_absurd_sizes_and_counts_are_refused_in_one_line(tmp_path):
    gif = bytearray(encode(tmp_path / "a.gif").read_bytes())
    jpeg = bytearray(encode(tmp_path / "a.avi", "-c:v", "mjpeg").read_bytes())
    hostile = {}
    for width, height in ((60000, 60000), (65535, 2000), (0, 0), (0, 64), (64, 0), (65535, 1)):
        struct.pack_into("<HH", gif, 6, width, height)
        hostile[f"{width}x{height}.gif"] = bytes(gif)
        at = jpeg.find(b"\xff\xc0")
        struct.pack_into(">HH", jpeg, at + 5, height, width)
        hostile[f"{width}x{height}.avi"] = bytes(jpeg)
    mp4 = encode(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    for name, box, offset, values in (
        ("many-samples.mp4", b"stsz", 4, (1, 0xFFFFFFFF)), ("no-samples.mp4", b"stsz", 4, (0, 0)),
        ("long-times.mp4", b"stts", 4, (1, 0xFFFFFFFF, 0xFFFFFFFF)),
        ("many-chunks.mp4", b"stsc", 4, (1, 1, 0xFFFFFFFF, 1)),
        ("far-chunks.mp4", b"stco", 4, (0xFFFFFFFF,)), ("other-track.mp4", b"stsd", 4, (0xFFFFFFFF,)),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(mp4.read_bytes())
        hostile[name] = patched(tmp_path / name, (*TABLE, box), offset, *values).read_bytes()
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
        try:
            reader, frames = read(tmp_path / name)
        except FfmpegError as error:
            assert str(error).isprintable() and len(str(error)) < 500
        else:
            assert frames.shape[0] <= 6, name
    with pytest.raises(FfmpegError, match="8192|damaged|pixels|invalid|Invalid"):
        read(tmp_path / "60000x60000.gif")


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MOST_SECONDS", 0.01, "more than 0.01 seconds of processor time"),
        ("MOST_BYTES", 2**25, "needs more than 0.0 GiB of memory"),
    ],
)
def test_time_and_memory_end_at_their_limits(tmp_path, monkeypatch, limit, value, reason):
    frames = noise(4, side=1000)
    path = encode(tmp_path / "a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", frames=frames)
    assert len(read(path)[1]) == 4
    monkeypatch.setattr(ffmpeg, limit, value)
    with pytest.raises(FfmpegError, match=reason):
        read(path)


def test_a_decoder_that_crashes_costs_its_own_video_alone(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for name in ("1", "2", "3"):
        encode(tmp_path / "in" / f"{name}.mp4", frames=noise(5 + int(name)))
    program = tmp_path / "decoder.py"
    program.write_text(f"""
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("decoder", {str(process.DECODER)!r})
decoder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(decoder)
give_up = decoder._give_up_rights
size = {(tmp_path / "in" / "2.mp4").stat().st_size}
decoder._give_up_rights = lambda most: os.kill(os.getpid(), 11) if os.fstat(0).st_size == size else give_up(most)
decoder.run(sys.argv[1])
""")
    monkeypatch.setattr(process, "DECODER", program)
    report = convert_dataset(
        str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(Geometry((32, 32)), workers=1)
    )
    assert report.num_videos == 2
    assert (
        len(report.notes) == 1
        and "2.mp4 holds no readable video (the decoder failed with signal 11)" in report.notes[0]
    )


SIZE = {"fps": 25, "duration": None, "notes": []}
FACTS = SIZE | {"size": [4, 2]}
FRAME = b"f" + bytes(24)


def record(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"j" + struct.pack("<I", len(text)) + text


def read_from(tmp_path, monkeypatch, *written, geometry=None, after="time.sleep(60)"):
    """(reader, shapes of frames, message of the error) of a decoder that writes these bytes and then goes on."""
    (tmp_path / "written").write_bytes(b"".join(written))
    (tmp_path / "decoder.py").write_text(
        f"import sys, time\nsys.stdout.buffer.write(open({str(tmp_path / 'written')!r}, 'rb').read())\n"
        f"sys.stdout.buffer.flush()\n{after}\n"
    )
    (tmp_path / "a.mp4").write_bytes(b"any")
    monkeypatch.setattr(process, "DECODER", tmp_path / "decoder.py")
    monkeypatch.setattr(process, "CAN_FORK", False)
    reader, shapes = VideoReader(str(tmp_path / "a.mp4"), geometry), []
    try:
        shapes += [frame.shape for frame in reader]
    except FfmpegError as error:
        return reader, shapes, str(error)
    return reader, shapes, ""


def test_records_that_the_decoder_writes_are_believed(tmp_path, monkeypatch):
    better = FACTS | {"fps": 24.5, "duration": 2, "notes": ["n\x1b"]}
    written = record(FACTS), FRAME, record(better), FRAME, record({"end": "why"})
    reader, shapes, error = read_from(tmp_path, monkeypatch, *written)
    assert (shapes, error) == ([(2, 4, 3)] * 2, "")
    assert (reader.fps, reader.duration, reader.size, reader.damage) == (24.5, 2, (4, 2), "why")
    assert reader.notes == ("n?",)
    reader, shapes, _ = read_from(tmp_path, monkeypatch, record(FACTS), FRAME, FRAME[:9], after="sys.exit(3)")
    assert (shapes, reader.damage) == ([(2, 4, 3)], "the decoder failed with status 3")


@pytest.mark.parametrize("wrong", [
    SIZE, *({**SIZE, "size": size} for size in (
        None, [], [4], [4, 2, 1], [4, 0], [-4, -2], [4.0, 2], [True, True], ["4", "2"], [8192, 8193], [10**30, 1], {})),
    *(FACTS | {"fps": fps} for fps in (0, -1, True, "25", [], 10**400)), b"NaN", FACTS | {"duration": {}},
    FACTS | {"notes": ["a", 5]}, FACTS | {"notes": "a"}, {}, {"end": 5}, {"end": "", "fps": 5}, {"again": False},
    [], b"{", b"[" * 90_000, b" " * 100_001 + b"{}",
])  # fmt: skip
def test_records_that_the_decoder_never_writes_end_the_reading(tmp_path, monkeypatch, wrong):
    _, shapes, error = read_from(tmp_path, monkeypatch, record(wrong), FRAME)
    assert shapes == [] and error.endswith("a.mp4 holds no readable video (the decoder failed)")


def test_what_does_not_follow_from_the_records_before_it_ends_the_reading(tmp_path, monkeypatch):
    square = Geometry((4, 4))
    monkeypatch.setattr(ffmpeg, "MOST_FRAMES", 3)
    for count, geometry, written in (
        (0, None, [FRAME]), (0, None, [b"x"]), (1, None, [record(FACTS), FRAME, b"J", FRAME]),
        (1, None, [record(FACTS), FRAME, record(SIZE | {"size": [2, 4]}), FRAME]), (0, square, [record(FACTS), FRAME]),
        (3, None, [record(FACTS), *[FRAME] * 9]), (0, None, [record({"again": True})]),
    ):  # fmt: skip
        reader, shapes, _ = read_from(tmp_path, monkeypatch, *written, geometry=geometry)
        assert len(shapes) == count and reader.damage == "the decoder failed", written


def test_the_decoder_can_open_nothing_more(tmp_path):
    program = f"""
import socket, sys
sys.path.insert(0, {os.path.dirname(decoder.__file__)!r})
import decoder
print(*sorted({{"numpy", "PIL", "torch"}} & set(sys.modules)))  # they would make each start slow
decoder._give_up_rights(2**32)
for attempt in (lambda: open({str(tmp_path / "x")!r}, "w"), lambda: open("/etc/hostname"), socket.socket):
    try:
        attempt()
    except OSError:
        print("refused")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.split() == ["refused"] * 3, found
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["mp4", "gif", "webm"])
def test_videos_are_written_under_names_of_all_kinds(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    folders = ["-f", "%03d", "a:b", "pipe:0"] if ending == "mp4" else ["-y"]
    for name in (*STRANGE_NAMES[:: 3 if ending == "mp4" else 8], *(f"{folder}/-x" for folder in folders)):
        assert write_video(f"{name}.{ending}", list(noise(2)), fps=10) == 2
        assert len(list(VideoReader(os.path.abspath(f"{name}.{ending}")))) == 2


def test_ffmpeg_failing_to_write_is_told_in_one_printable_line(tmp_path, monkeypatch):
    loud = tmp_path / "ffmpeg"
    loud.write_text(
        "#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' x >&2\nprintf '\\nerror \\033[2J \\007 here\\n' >&2\nexit 1\n"
    )
    loud.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(loud))
    with pytest.raises(FfmpegError, match=r"a.mp4 could not be encoded \(error \?\[2J \? here\)"):
        write_video(tmp_path / "a.mp4", list(noise(50, side=256)), fps=10)
    assert os.listdir(tmp_path) == ["ffmpeg"]
