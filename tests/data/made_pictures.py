"""Picture files of kinds that Pillow does not write: PNG and TIFF byte by byte, colour profiles, CMYK JPEG."""

import io
import struct
import zlib

import numpy as np
import PIL.Image


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(values, colour_type, bits=8, chunks=b"", late=b""):
    """A PNG of samples `[H, W, C]`; chunks lie before the pixels, late behind them. Fewer than 8 bits: one channel."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").view(np.uint8) if bits == 16 else values.astype(np.uint8)
    rows = rows.reshape(height, -1)
    if bits < 8:
        planes = np.unpackbits(rows[..., None], axis=-1)[..., 8 - bits :]
        rows = np.packbits(planes.reshape(height, -1), axis=1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">2I5B", width, height, bits, colour_type, 0, 0, 0)
    return b"".join([
        b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), chunks, png_chunk(b"IDAT", zlib.compress(pixels)), late,
        png_chunk(b"IEND", b""),
    ])  # fmt: skip


def bitmap(values):
    """A BMP of version 5 with opacity, of RGBA values `[H, W, 4]`."""
    height, width = values.shape[:2]
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, width, -height, 1, 32, 3, values.size, 0, 0, 0, 0)
    header = (header + struct.pack("<4I4s", *masks, b"BGRs")).ljust(124, b"\0")
    pixels = values[..., [2, 1, 0, 3]].astype(np.uint8).tobytes()
    return struct.pack("<2sIII", b"BM", 14 + 124 + len(pixels), 0, 14 + 124) + header + pixels


def tiff(values, bits, photometric, order="<", sample_format=1, extra=None, orientation=None):
    """An uncompressed TIFF of samples `[H, W, C]`, of 12 (packed), 8, 16 or 32 bits."""
    height, width, channels = values.shape
    if bits == 12:
        nibbles = np.stack([values >> 8, values >> 4 & 15, values & 15], -1).reshape(height, -1).astype(np.uint8)
        pixels = (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).tobytes()
    else:
        kind = {1: "u", 2: "i", 3: "f"}[sample_format]
        pixels = values.astype(f"{order}{kind}{bits // 8}").tobytes()
    tags = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [1]), 262: (3, [photometric]),
        273: (4, [0]), 277: (3, [channels]), 278: (4, [height]), 279: (4, [len(pixels)]),
        339: (3, [sample_format] * channels),
    }  # fmt: skip
    if orientation is not None:
        tags[274] = (3, [orientation])
    if extra is not None:
        tags[338] = (3, [extra])
    behind = 8 + 2 + 12 * len(tags) + 4
    far, entries = b"", b""
    tags[273] = (4, [behind + 6 * 2 * 8])
    for tag, (kind, content) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(content)}{'H' if kind == 3 else 'I'}", *content)
        if len(packed) > 4:
            place, far = struct.pack(f"{order}I", behind + len(far)), far + packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, kind, len(content)) + place
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + far.ljust(6 * 2 * 8, b"\0") + pixels


def _profile(space, tags, device=b"mntr"):
    """An ICC profile of version 2 with tags {signature: content}."""
    table, content, at = b"", b"", 128 + 4 + 12 * len(tags)
    for signature, data in tags.items():
        data += bytes(-len(data) % 4)
        table += signature + struct.pack(">2I", at + len(content), len(data))
        content += data
    size = at + len(content)
    head = struct.pack(">I4sI4s4s4s12s4s", size, bytes(4), 0x02100000, device, space, PCS[space], bytes(12), b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


D50 = (0.9642, 1.0, 0.8249)
PCS = {b"RGB ": b"XYZ ", b"GRAY": b"XYZ ", b"CMYK": b"Lab "}
TEXTS = {
    b"desc": b"desc" + struct.pack(">2I", 0, 2) + b"x\0" + bytes(78),
    b"cprt": b"text\0\0\0\0x\0",
    b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in D50)),
}


def rgb_profile(primaries, gamma):
    """A profile of RGB by the XYZ of its primaries, a list of three columns under D50, and its gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    columns = {
        name: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in column))
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    return _profile(b"RGB ", TEXTS | columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(gamma):
    return _profile(b"GRAY", TEXTS | {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))})


def cmyk_profile(lab):
    """A profile under which every ink gives one colour `lab` (8-bit L, a + 128, b + 128), and no ink white."""
    grid = np.full([16, 3], lab, np.uint8)
    grid[0] = (255, 128, 128)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 * int(i % 4 == 0) for i in range(9)))
    table += bytes(range(256)) * 4 + grid.tobytes() + bytes(range(256)) * 3
    return _profile(b"CMYK", TEXTS | {b"A2B0": table}, b"prtr")


def cmyk_jpeg(ink, adobe):
    """A JPEG of one mixture of inks, 0 to 255, as Adobe stores it (inverted), or plainly and without its marker."""
    data = encoded(
        PIL.Image.new("CMYK", (16, 16), tuple(ink) if adobe else tuple(255 - v for v in ink)), "JPEG", quality=100
    )
    at = data.find(b"\xff\xee")
    assert data[at + 4 : at + 9] == b"Adobe"
    return data if adobe else data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]
