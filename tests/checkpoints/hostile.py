"""Checkpoints of strangers by construction, each from one number: programs over all opcodes, and changed networks.

Programs keep to the discipline of the stack most of the time, so that they go deep, call every name that the reader
admits, double what they hold, reuse the memo, and put pickles into pickles. Changed networks are files of the known
formats in which some values became hostile ones, so that importers and network classes are reached.
"""

import collections
import copyreg
import io
import pickle
import pickletools
import random
import struct
import zipfile

import torch

from stylegan_v_ext.checkpoints.importers.stylegan_v import _RENAMED
from stylegan_v_ext.checkpoints.layouts import LAYOUTS
from stylegan_v_ext.checkpoints.tensors import LEGACY_MAGIC, STORAGES
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.networks.stylegan2 import ImageGenerator
from stylegan_v_ext.networks.stylegan3 import AliasFreeGenerator
from tests.checkpoints import stock

GLOBALS = [*sorted(LAYOUTS), ("torch.optim.adam", "Adam"), ("omegaconf.dictconfig", "DictConfig"), ("typing", "Any")]
FORBIDDEN = [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("torch", "_dynamo"), ("torch", "load")]
OPCODES = {op.code.encode("latin-1"): op for op in pickletools.opcodes}
ESCAPES = "\x1b[31m\x07\r\n\u202e"


def hostile_file(number: int) -> bytes:
    """The content of file `number`: always the same for the same number."""
    rng = random.Random(number)
    if rng.random() < 0.6:
        return _contained(rng, Program(rng).finish())
    return _changed_network(rng)


# Programs.


class Program:
    """Writes one pickle instruction after another, knowing the kinds of values that lie on the stack."""

    def __init__(self, rng: random.Random, depth: int = 0):
        self.rng, self.depth = rng, depth
        self.out = bytearray(b"\x80" + bytes([rng.randrange(2, 6)]))
        self.stack: list[str] = []
        self.memo: list[str] = []

    def finish(self) -> bytes:
        for _ in range(self.rng.choice([5, 30, 120])):
            self._step()
        if self.depth == 0 and self.rng.random() < 0.6:
            self._as_record()
        if not self.stack:
            self._value()
        return bytes(self.out + b".")

    def _step(self) -> None:
        chance = self.rng.random()
        if chance < 0.005:  # any instruction with any argument
            self.out += self.rng.choice(sorted(OPCODES)) + self.rng.randbytes(self.rng.randrange(6))
        elif chance < 0.35 or not self.stack:
            self._value()
        elif chance < 0.55:
            self._combine()
        elif chance < 0.65:
            self._remember()
        elif chance < 0.72:
            self._double(self.rng.choice([3, 40, 3000]))
        elif chance < 0.73:
            self._repeat()
        elif chance < 0.75 and self.depth < 6:
            self._nested()
        else:
            self._call(*self.rng.choice(GLOBALS if self.rng.random() < 0.995 else FORBIDDEN))

    def push(self, code: bytes, kind: str = "any") -> None:
        self.out += code
        self.stack.append(kind)

    def pop(self, count: int) -> None:
        del self.stack[len(self.stack) - min(count, len(self.stack)) :]

    def text(self, value: str) -> None:
        data = value.encode("utf-8", "surrogatepass")
        self.push(b"X" + struct.pack("<I", len(data)) + data, "key")

    def _value(self) -> None:
        """Push a number, text, bytes or an empty container by any of the instructions for them."""
        rng = self.rng
        size = rng.choice([0, 3, 3, 3, 60, 60, 2000, 100_000])
        data, line = (
            rng.randbytes(min(size, 60)) + b"a" * max(size - 60, 0),
            b"7" * rng.choice([1, 1, 9, 9, 9, 50, 150]),
        )
        choices = [
            (b"N", "key"), (b"\x88", "key"), (b"\x89", "key"), (b"]", "list"), (b"}", "dict"), (b")", "tuple"),
            (b"\x8f", "set"), (b"I" + line + b"\n", "key"), (b"L" + line + b"L\n", "key"), (b"I01\n", "key"),
            (b"J" + rng.randbytes(4), "key"), (b"K" + rng.randbytes(1), "key"), (b"M" + rng.randbytes(2), "key"),
            (b"\x8a\x08" + rng.randbytes(8), "key"), (b"\x8b" + struct.pack("<i", 9) + rng.randbytes(9), "key"),
            (b"F" + rng.choice([b"nan", b"inf", b"1e300", line]) + b"\n", "key"), (b"G" + rng.randbytes(8), "key"),
            (b"G\x7f\xf8\0\0\0\0\0\0", "key"), (b"S'a\\x41\\q'\n", "key"), (b"V\\u0041b\n", "key"),
            (b"T" + struct.pack("<i", len(data)) + data, "key"), (b"U\x03abc", "key"), (b"\x8c\x01a", "key"),
            (b"X" + struct.pack("<I", size) + b"a" * size, "key"), (b"\x8d" + struct.pack("<Q", 4) + b"abcd", "key"),
            (b"B" + struct.pack("<I", len(data)) + data, "bytes"), (b"C\x02\xff\0", "bytes"),
            (b"\x8e" + struct.pack("<Q", len(data)) + data, "bytes"), (b"\x96" + struct.pack("<Q", 1) + b"x", "bytes"),
        ]  # fmt: skip
        if rng.random() < 0.1:
            self.text(rng.choice(["G_ema", "storage", "0", "latin1", "float32", "cpu", "a" + ESCAPES, "<f4"]))
        else:
            self.push(*rng.choice(choices))

    def _combine(self) -> None:
        """Make containers of what lies on the stack, and put values into containers."""
        rng, top = self.rng, self.stack[-1]
        if len(self.stack) > 1 and self.stack[-2] in ("list", "set") and rng.random() < 0.7:
            self.out += b"a"
            self.pop(1)
        elif len(self.stack) > 2 and self.stack[-3] == "dict" and self.stack[-2] == "key":
            self.out += b"s"
            self.pop(2)
        elif rng.random() < 0.6:
            count = rng.randrange(1, 4)
            if len(self.stack) >= count:
                self.out += {1: b"\x85", 2: b"\x86", 3: b"\x87"}[count]
                self.pop(count)
                self.stack.append("tuple")
        elif top in ("list", "dict", "set"):
            self._fill(top)
        else:
            code, kind = rng.choice([(b"t", "tuple"), (b"l", "list"), (b"\x91", "any"), (b"d", "dict")])
            self.out += b"("
            for _ in range(2 * rng.randrange(3)):
                self._value()
                self.pop(1)
            self.push(code, kind)

    def _fill(self, kind: str) -> None:
        """Add many values at once: keys that collide, NaN, or whatever is remembered."""
        count = self.rng.choice([2, 100, 20_000])
        key = self.rng.choice(["collide", "nan", "text"])
        self.out += b"("
        for i in range(count):
            if key == "collide":
                self.out += b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little")
            else:
                self.out += b"G\x7f\xf8\0\0\0\0\0\0" if key == "nan" else b"U\x04%04d" % (i % 10_000)
            if kind == "dict":
                self.out += b"N"
        self.out += {"list": b"e", "dict": b"u", "set": b"\x90"}[kind]

    def _remember(self) -> None:
        rng = self.rng
        if self.memo and rng.random() < 0.6:
            index = rng.randrange(len(self.memo))
            code = rng.choice([b"g%d\n" % index, b"j" + struct.pack("<I", index), b"h" + bytes([index % 256])])
            self.push(code, self.memo[index % 256] if code[:1] == b"h" else self.memo[index])
        elif rng.random() < 0.2:
            self.out += rng.choice([b"0", b"2", b"1", b"(", b"r\xff\xff\xff\xff", b"p99999999\n", b"\x95" + bytes(8)])
        else:
            self.out += b"\x94"
            self.memo.append(self.stack[-1])

    def _double(self, times: int) -> None:
        """t = (t, t), or any container like it, again and again: walking it never ends."""
        code, kind = self.rng.choice([(b"2\x86", "tuple"), (b"(2e", "list"), (b"\x85", "tuple"), (b"]2a", "list")])
        if kind == "list":
            code = b"q\xfa0(h\xfah\xfal" if self.rng.random() < 0.5 else b"q\xfa0}U\x01ah\xfasU\x01bh\xfas"
        self.out += code * times
        self.pop(1)
        self.stack.append(kind if kind == "tuple" else "any")

    def _repeat(self) -> None:
        """Call one thing with one remembered value many times."""
        module, name = self.rng.choice(GLOBALS)
        size = self.rng.choice([10, 200_000])
        argument = self.rng.choice([b"B" + struct.pack("<I", size) + bytes(size), b"(" + b"K\x01" * (size // 10) + b"l",
                                    b"X" + struct.pack("<I", size) + b"1" * size])  # fmt: skip
        self.out += argument + b"q\xf00c" + f"{module}\n{name}\n".encode() + b"q\xf10"
        call = self.rng.choice(
            [b"h\xf1h\xf0\x85R0", b"h\xf1h\xf0h\xf0\x86R0", b"ccopyreg\n_reconstructor\nh\xf1Nh\xf0\x87R0"]
        )
        self.push(call * self.rng.choice([3, 20_000]) + b"N", "key")

    def _nested(self) -> None:
        """The bytes of a pickle, given to the function that reads storages."""
        inner = Program(self.rng, self.depth + 1).finish() if self.rng.random() < 0.5 else _storage(self.rng)
        data = legacy(inner)
        self.out += b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(data)) + data
        self.push(b"\x85R", "storage")

    def _call(self, module: str, name: str) -> None:
        """Name something and call it, with arguments as it takes them or with others."""
        rng = self.rng
        start = len(self.stack)
        self.push(b"c" + f"{module}\n{name}\n".encode() if rng.random() < 0.7 else b"", "any")
        if not self.out.endswith(f"{name}\n".encode()):
            self.pop(1)
            self.text(module)
            self.text(name)
            self.out += b"\x93"
            self.pop(1)
        if LAYOUTS.get((module, name)) is None and rng.random() < 0.8:
            return
        self.out += b"("
        if rng.random() < 0.9:
            self._usual_arguments(name)
        else:
            self._any_arguments()
        self.out += b"t" + rng.choice([b"R", b"R", b"R", b"\x81", b"}\x92"])
        del self.stack[start:]
        self.stack.append("any")
        if rng.random() < 0.2:
            self._value()
            self.out += b"b"
            self.pop(1)

    def _any_arguments(self) -> None:
        for _ in range(self.rng.choice([0, 1, 1, 2, 3, 4, 5])):
            if self.memo and self.rng.random() < 0.5:
                self.push(b"j" + struct.pack("<I", self.rng.randrange(len(self.memo))))
            elif self.rng.random() < 0.2:
                self.push(b"c" + "{}\n{}\n".format(*self.rng.choice(GLOBALS)).encode())
            else:
                self._value()
            if self.rng.random() < 0.1:
                self._double(40)

    def _usual_arguments(self, name: str) -> None:
        """The arguments that the reader expects of a call of this name, most of the time."""
        rng = self.rng
        bytes_ = b"B" + struct.pack("<I", 2000) + bytes(2000)
        dtype = b"cnumpy\ndtype\nU\x02f4\x89\x88\x87R"
        usual = {
            "OrderedDict": b"](]U\x01aaK\x01ae", "EasyDict": b"}U\x01aK\x01s", "set": b"](K\x01K\x02e",
            "slice": b"K\x01K\x02", "complex": b"K\x01G" + bytes(8), "Size": b"K\x01K\x02\x86", "device": b"U\x03cpu",
            "encode": b"X\x02\0\0\0abX\x06\0\0\0latin1", "dtype": b"U\x02f4\x89\x88", "scalar": dtype + b"C\x04abcd",
            "_frombuffer": bytes_ + dtype + b"M\xf4\x01\x85U\x01C", "_reconstruct": b"cnumpy\nndarray\nK\0\x85C\x01b",
            "_reconstructor": b"cargparse\nNamespace\ncbuiltins\nobject\nN", "_load_from_bytes": b"", "bytes": b"",
            "PosixPath": b"U\x01aU\x01b",
        }.get(name)  # fmt: skip
        if name.startswith(("_rebuild_tensor", "_rebuild_parameter")):
            if self.depth == 0 and rng.random() < 0.3:
                self._persistent()
            else:
                self.out += b"ctorch.storage\n_load_from_bytes\nB"
                data = legacy(_storage(rng, True))
                self.out += struct.pack("<I", len(data)) + data + b"\x85R"
            self.out += rng.choice(
                [b"K\0K\x04\x85K\x01\x85", b"K\0K\0\x85K\x01\x85", b"K\x01]]", b"K\0K\x02K\x02\x86K\0K\x01\x86"]
            )
        elif name == "_load_from_bytes":
            data = legacy(_storage(rng, rng.random() < 0.7))
            self.out += b"B" + struct.pack("<I", len(data)) + data
        elif usual is None:
            self._any_arguments()
        else:
            self.out += usual

    def _persistent(self) -> None:
        storage = self.rng.choice(sorted(STORAGES))
        self.out += b"("
        self.text("storage")
        self.out += f"ctorch\n{storage}\n".encode()
        if self.rng.random() < 0.9:
            self.text(self.rng.choice(["0", "0", "0", "1", "a" + ESCAPES]))
        else:
            self._value()
            self._double(40)
        self.text("cpu")
        self.push(b"K\x04tQ", "storage")

    def _as_record(self) -> None:
        """Make what lies on top a part of a record of a network, or settings beside it."""
        if not self.stack:
            self._value()
        rng = self.rng
        self.out += b"q\xe0c" + b"torch_utils.persistence\n_reconstruct_persistent_obj\n}("
        class_name = rng.choice(["VideoGenerator", "Generator", "TimeConditionedDiscriminator", "X" + ESCAPES])
        for key, value in (("type", "class"), ("class_name", class_name), ("module_src", "x = 1"), ("state", None)):
            self.text(key)
            self.text(value) if value is not None else self._state()
        self.out += b"u\x85Rq\xe10}("
        for key, index in (("G_ema", b"h\xe1"), ("D", b"h\xe1"), ("training_set_kwargs", b"}U\x01ah\xe0s")):
            self.text(key)
            self.out += index
        self.push(b"u", "any")

    def _state(self) -> None:
        self.out += b"}("
        for key in ("_parameters", "_buffers", "_modules", "_init_kwargs", "_init_args", "cfg"):
            self.text(key)
            self.out += self.rng.choice([b"}", b"h\xe0", b"}U\x01ah\xe0s", b"}U\x05c_dimh\xe0s"])
        self.out += b"u"


def legacy(pickled: bytes) -> bytes:
    """A pickle in the layout that PyTorch wrote before it used zip files, with one storage."""
    header = [pickle.dumps(value, 2) for value in (LEGACY_MAGIC, 1001, {"little_endian": True})]
    return (
        b"".join(header)
        + pickled
        + pickle.dumps(["0"] if b"storage" in pickled else [], 2)
        + struct.pack("<q", 4)
        + bytes(16)
    )


def zipped(rng: random.Random, pickled: bytes) -> bytes:
    """A pickle in a zip file as PyTorch writes it, or with odd members: many, named twice, overlapping, compressed."""
    buffer = io.BytesIO()
    kind = rng.choice(["plain", "plain", "plain", "many", "twice", "compressed", "escapes"])
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED) as file:
        file.writestr("a/data.pkl", pickled)
        file.writestr("a/data/0", bytes(16))
        for i in range({"many": 30_000, "escapes": 3}.get(kind, 0)):
            file.writestr(zipfile.ZipInfo(f"a/data/{ESCAPES if kind == 'escapes' else 'x'}{i}"), b"")
    data = buffer.getvalue()
    if kind == "twice":
        data = data.replace(b"a/data/0", b"a/data.pkl"[:8])
    if rng.random() < 0.1:  # all members at one place
        at = data.find(b"PK\x01\x02")
        data = data[: at + 42] + struct.pack("<I", rng.randrange(len(data))) + data[at + 46 :]
    return data


def _contained(rng: random.Random, pickled: bytes) -> bytes:
    return rng.choice([lambda: pickled, lambda: legacy(pickled), lambda: zipped(rng, pickled)])()


def _storage(rng: random.Random, whole: bool = False) -> bytes:
    """A pickle that is a storage alone, as the function that reads storages expects."""
    size = b"K\x04" if whole else rng.choice([b"K\x05", b"J\xff\xff\xff\x7f"])
    return b"\x80\x02(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu" + size + b"tQ."


# Changed networks.


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


def _doubled(value, times: int = 40, kind=tuple):
    for _ in range(times):
        value = kind([value, value])
    return value


def _hostile_value(rng: random.Random):
    deep: list = []
    for _ in range(60):
        deep = [deep]
    return rng.choice([
        _doubled((1,)), _doubled([1], kind=list), deep, 2**rng.choice([10, 31, 40, 62, 200]), -1, 0,
        float("nan"), float("inf"), "x" * 100_000, ESCAPES, b"y" * 100_000, None, True, {}, [], {1: 2, None: ESCAPES},
        {"a": _doubled(())},
        torch.zeros(3), torch.full([2, 2], float("nan")), torch.zeros(1).expand(2**20, 2**20), torch.zeros(0, 2**40),
        Call(torch.Size, b"x" * 50_000), Call(set, b"x" * 50_000), Call(slice, _doubled((1,)), 1),
        Call(complex, "1" * 50_000),
        Call(copyreg._reconstructor, torch.storage._load_from_bytes, object, b"x" * 5000),
        Call(torch.device, _doubled(())),
        stock.Persistent("Part" + ESCAPES, state=_doubled(())), collections.OrderedDict({"a" * 5000: 1}), "stylegan_v",
        {f"p{i}": torch.zeros(1) for i in range(3000)},
    ])  # fmt: skip


def _networks() -> dict[str, torch.nn.Module]:
    small = dict(img_resolution=16, img_channels=3, channel_base=64, channel_max=4)
    return {
        "VideoGenerator": VideoGenerator(3, z_dim=4, w_dim=4, motion_kwargs=dict(z_dim=2, code_dim=2), **small),
        "ImageGenerator": ImageGenerator(4, 0, 4, **small, use_noise=True),
        "AliasFreeGenerator": AliasFreeGenerator(4, 0, 4, 16, 3, channel_base=64, channel_max=4, num_layers=4),
        "TimeConditionedDiscriminator": TimeConditionedDiscriminator(3, **small),
    }


_MADE: dict[str, torch.nn.Module] = {}


def _change(rng: random.Random, value, share: float = 0.02):
    """The value with a share of what is in it replaced; what replaces it may be endless, and is not looked into."""
    if rng.random() < share:
        return _hostile_value(rng)
    if isinstance(value, stock.Persistent):
        value.state = _change(rng, value.state, share)
        return value
    if isinstance(value, dict):
        changed = {key: _change(rng, item, share) for key, item in value.items()}
        if rng.random() < share:
            changed[rng.choice(["a" * 2000, "b" + ESCAPES, "to_rgbs.99999999.conv.weight", "convs.4000.noise.weight",
                                "synthesis.b99999999999.conv1.weight"])] = _hostile_value(rng)  # fmt: skip
        return changed
    if isinstance(value, (list, tuple)):
        return type(value)(_change(rng, item, share) for item in value)
    return value


def _changed_network(rng: random.Random) -> bytes:
    _MADE.update(_MADE or _networks())
    name = rng.choice(sorted(_MADE))
    network = _MADE[name]
    state, kwargs = network.state_dict(), dict(network.init_kwargs)
    shape = rng.choice(["ours", "ours", "foreign", "release", "rosinality", "tensorflow"])
    if rng.random() < 0.3:
        kwargs[rng.choice([*kwargs, "z_dim", "mapping_kwargs", "motion_kwargs", "epilogue_kwargs", "num_frames",
                           "conv_kernel", "filter_size", "margin_size", "class_name", "func_name"])] = (
            _hostile_value(rng))  # fmt: skip
    image = _MADE["ImageGenerator"].state_dict()
    if shape == "rosinality":
        content = {"g_ema": stock.rosinality_generator(image), "latent_avg": torch.zeros(4)}
        content = _change(rng, content)
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=rng.random() < 0.5)
        return buffer.getvalue()
    if shape == "tensorflow":
        with stock.tensorflow_network() as Network:
            G = stock.tensorflow_generator(Network, image)
            G.state = _change(rng, G.state)
            return pickle.dumps((G, G, G), protocol=rng.randrange(2, 5))
    if shape == "release":
        for theirs, own in _RENAMED.items():
            state = {key.replace(own, theirs, 1) if key.startswith(own) else key: t for key, t in state.items()}
    tree = stock.module_tree(name if shape == "ours" else "Generator", state)
    if rng.random() < 0.7:
        tree = _change(rng, tree, 0.003)
    if isinstance(tree, stock.Persistent) and isinstance(tree.state, dict):
        tree.state |= {"_init_args": tuple(network.init_args), "_init_kwargs": kwargs}
        tree.state[rng.choice(["img_resolution", "cfg", "conv_clamp", "use_fp16", "unknown"])] = _hostile_value(rng)
    content = {rng.choice(["G_ema", "D", "G"]): tree, "training_set_kwargs": _hostile_value(rng), 5: tree}
    data = pickle.dumps(content, protocol=rng.randrange(2, 6))
    if rng.random() < 0.2:
        buffer = io.BytesIO()
        torch.save(content, buffer, pickle_protocol=2, _use_new_zipfile_serialization=rng.random() < 0.5)
        data = buffer.getvalue()
    return data
