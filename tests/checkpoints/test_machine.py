"""Reading pickles runs nothing, whatever they say, and never takes more than the file is worth."""

import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import dnnlib
from stylegan_v_ext.checkpoints import CheckpointError, load, trusted
from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.layouts import find
from stylegan_v_ext.checkpoints.machine import Machine
from stylegan_v_ext.checkpoints.network import known_sources
from stylegan_v_ext.checkpoints.plain_values import plain
from stylegan_v_ext.checkpoints.reader import read_file
from tests.checkpoints import stock
from tests.checkpoints.hostile import legacy
from torch_utils import persistence


def read(data):
    budget = Budget(len(data))
    return Machine(memoryview(data), budget, partial(find, budget=budget)).load()


# What it reads.

VALUES = [
    None, True, False, 0, 255, 65535, -1, 2**31, -(2**63), 2**200, 1.5, -0.0, "", "text", "ä\u2028\U0001f600",
    "x" * 300, b"", b"\x00\xff", b"y" * 3000, [], [1, [2, []]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {},
    {"a": {"b": 1}}, {1: 2, None: 3}, {1, 2}, list(range(2000)), {str(i): i for i in range(2000)},
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(protocol):
    for value in VALUES:
        assert plain(read(pickle.dumps(value, protocol=protocol))) == value, value


@pytest.mark.parametrize("protocol", range(6))
def test_shared_values_stay_shared(protocol):
    inner = [1]
    outer = read(pickle.dumps([inner, inner], protocol=protocol))
    outer[0].append(2)
    assert outer == [[1, 2], [1, 2]]
    cycle = [0]
    cycle.append(cycle)
    again = read(pickle.dumps(cycle, protocol=protocol))
    assert again[1] is again


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_of_any_type_and_layout_come_back(protocol, dtype):
    base = torch.arange(24).reshape(2, 3, 4).to(dtype)
    for tensor in (base, base[1], base.permute(2, 0, 1), base[:, 1:, ::2], base.new_zeros([]), base.new_zeros([0, 3])):
        parameter = torch.nn.Parameter(tensor, requires_grad=False)
        again = plain(read(pickle.dumps({"t": tensor, "p": parameter}, protocol=protocol)))
        assert torch.equal(again["t"], tensor) and torch.equal(again["p"], tensor) and again["t"].dtype == dtype


@pytest.mark.parametrize("zipped", [True, False])
def test_files_by_torch_save_come_back(tmp_path, zipped):
    base = torch.randn(2, 3, 4)
    value = {"a": base.permute(2, 0, 1), "b": base[1], "n": 3}
    torch.save(value, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    again = plain(read_file(tmp_path / "a.pt"))
    assert torch.equal(again["a"], value["a"]) and torch.equal(again["b"], value["b"]) and again["n"] == 3


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_and_numbers_of_numpy_come_back(protocol):
    arrays = {
        "a": np.arange(6, dtype=">i2").reshape(2, 3), "f": np.asfortranarray(np.random.rand(3, 2)),
        "b": np.array([True, False]), "e": np.zeros([0, 2], np.float32),
    }  # fmt: skip
    others = {
        "P": Path("/a/b"),
        "s": np.float32(1.5),
        "d": dnnlib.EasyDict(x=1),
        "c": 1j,
        "l": slice(1, 2),
        "t": torch.Size([1, 2]),
    }
    again = plain(read(pickle.dumps({**arrays, **others}, protocol=protocol)))
    for key, value in arrays.items():
        assert np.array_equal(again[key], value) and again[key].shape == value.shape
    assert [again[key] for key in others] == ["/a/b", 1.5, {"x": 1}, 1j, slice(1, 2), (1, 2)]


def test_tensors_of_a_gpu_and_optimizers_come_back_as_data(tmp_path):
    torch.save({"a": torch.arange(5.0)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    data = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "b.pt").write_bytes(data.replace(b"ctorch\nFloatStorage", b"ctorch.cuda\nFloatStorage"))
    assert (tmp_path / "b.pt").read_bytes() != data
    assert plain(read_file(tmp_path / "b.pt"))["a"].tolist() == [0, 1, 2, 3, 4]
    optimizer = torch.optim.Adam([torch.zeros(2, requires_grad=True)])
    assert read(pickle.dumps({"G_opt": optimizer}))["G_opt"].name == "Adam"


# What it refuses.


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *args):
        self.what = function, args

    def __reduce__(self):
        return self.what


def state_of_name(module, name, state):
    """A pickle that sets attributes of the class or function with this name itself."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + pickle.dumps(state, protocol=2)[2:-1] + b"b."


ATTACKS = {
    "os.system": lambda target: pickle.dumps(Call(os.system, f"touch {target}")),
    "a subprocess": lambda target: pickle.dumps(Call(subprocess.check_call, ["touch", target])),
    "eval": lambda target: pickle.dumps(Call(eval, f"open({target!r}, 'w')")),
    "exec": lambda target: pickle.dumps(Call(exec, f"open({target!r}, 'w')")),
    "open": lambda target: pickle.dumps(Call(open, target, "w")),
    "getattr": lambda target: pickle.dumps(Call(getattr, "text", "upper")),
    "an import": lambda target: pickle.dumps(Call(__import__, "antigravity")),
    "a class from the library": lambda target: pickle.dumps(Fraction(1, 3)),
    "a call of a type's name": lambda target: b"ctyping\nAny\n)R.",
    "torch.load": lambda target: pickle.dumps(Call(torch.load, target)),
    "a call in a tensor's bytes": lambda target: pickle.dumps(
        Call(torch.storage._load_from_bytes, pickle.dumps(Call(os.system, f"touch {target}")))
    ),
    "a zip in a tensor's bytes": lambda target: pickle.dumps(
        Call(torch.storage._load_from_bytes, b"PK\x03\x04" + bytes(100))
    ),
    "our own way to run source": lambda target: pickle.dumps(
        Call(persistence.module_from_source, f"open({target!r}, 'w')")
    ),
    "a reconstructed class": lambda target: b"ccopyreg\n_reconstructor\n(cos\n_wrap_close\ncbuiltins\nobject\nNtR.",
    "a reduce chain": lambda target: b"ccollections\nOrderedDict\n(cbuiltins\neval\ntRS'1'\n\x85R.",
    "INST": lambda target: f"(S'touch {target}'\nios\nsystem\n.".encode(),
    "OBJ": lambda target: f"(cos\nsystem\nS'touch {target}'\no.".encode(),
    "a name from the stack": lambda target: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    "a dotted name": lambda target: b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93\x8c\x02id\x85R.",
    "an extension code": lambda target: b"\x80\x02\x82\x01.",
    "a persistent id": lambda target: b"S'x'\nQ.",
    "keyword arguments": lambda target: b"\x80\x04ccollections\nOrderedDict\n)}\x8c\x01a\x8c\x01bs\x92.",
    "a call of a value": lambda target: b"\x80\x04]]\x85R.",
    "a call of a type": lambda target: b"cbuiltins\ndict\n)R.",
    "the state of a class": lambda target: state_of_name("dnnlib.util", "EasyDict", (None, {"evil": 1})),
    "the state of a function": lambda target: state_of_name(
        "torch._utils", "_rebuild_tensor_v2", (None, {"__defaults__": (1, 2)})
    ),
    "the state of a list": lambda target: b"]}b.",
}


@pytest.mark.parametrize("name", list(ATTACKS))
def test_attacks_are_refused_and_run_nothing(tmp_path, name):
    target = tmp_path / "was-here"
    path = tmp_path / "evil.pkl"
    path.write_bytes(ATTACKS[name](str(target)))
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert not target.exists() and "\n" not in str(caught.value)
    assert not hasattr(dnnlib.EasyDict, "evil") and torch._utils._rebuild_tensor_v2.__defaults__ == defaults


@pytest.mark.parametrize("name", ["os.system", "eval", "our own way to run source", "torch.load"])
def test_what_is_refused_is_named(tmp_path, name):
    (tmp_path / "evil.pkl").write_bytes(ATTACKS[name](str(tmp_path / "was-here")))
    with pytest.raises(
        CheckpointError, match=r"refers to [\w.]+\.(system|eval|module_from_source|load), which is code"
    ):
        load(tmp_path / "evil.pkl")


def test_embedded_source_is_never_run_on_the_safe_path(tmp_path, golden, monkeypatch):
    """Records in records, each with source that would end the process, and one that would leave a file."""
    target = tmp_path / "was-here"
    v = golden("stylegan2_32")
    network = stock.module_tree("Generator", v.state("G"))
    network.state["_init_kwargs"] = {"nested": stock.Persistent("Evil", source=f"open({str(target)!r}, 'w')")}
    path = stock.write(tmp_path / "a.pkl", G_ema=network, augment_pipe=stock.Persistent("AugmentPipe"))
    for module, name in ((persistence, "module_from_source"), (trusted, "read_pickle")):
        monkeypatch.setattr(module, name, lambda *args: pytest.fail("embedded source was run"))
    monkeypatch.setattr(pickle, "load", lambda *args: pytest.fail("the plain unpickler was used"))
    checkpoint = load(path)
    assert checkpoint.build_generator() is not None and checkpoint.records["augment_pipe"].class_name == "AugmentPipe"
    assert not target.exists()


def test_only_trust_runs_the_code_of_a_file(tmp_path, make_generator):
    target = tmp_path / "was-here"
    path = tmp_path / "a.pkl"
    content = {"G_ema": make_generator(), "training_set_kwargs": {"path": Call(os.system, f"touch {target}")}}
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match="system, which is code"):
        load(path)
    assert not target.exists()
    checkpoint = load(path, trust_pickle=True)
    assert target.exists()
    expected = content["G_ema"].eval().state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in checkpoint.build("G_ema").state_dict().items())
    assert checkpoint.records["G_ema"].source_hash in known_sources()


# Bombs: small files that ask for much.


def lists_in_lists(depth):
    return b"]" * depth + b"a" * (depth - 1) + b"."


def tuples_doubling(times):
    """t = (t, t) again and again: walking it never ends."""
    return b"\x80\x02)q\x000" + b"h\x00h\x00\x86q\x000" * times + b"h\x00"


def tensor_pickle(storage, size, stride, offset=0):
    function = torch._utils._rebuild_tensor_v2
    return pickle.dumps(Call(function, storage, offset, size, stride, False, {}))


def slow_storage_again_and_again():
    """The bytes of a storage, with many idle instructions in front, given to the function that reads them."""
    buffer = io.BytesIO()
    torch.save(torch.zeros(1).untyped_storage(), buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()[:2] + b"N0" * 100_000 + buffer.getvalue()[2:]
    call = b"ctorch.storage\n_load_from_bytes\nq\x02" + b"h\x02h\x01\x85R0" * 10_000
    return b"\x80\x03B" + struct.pack("<I", len(data)) + data + b"q\x01" + call + b"N."


def repeated_call(function):
    """One value of a megabyte, given to a function again and again."""
    return (
        b"\x80\x03B" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"q\x010" + function + b"q\x020"
        + b"h\x02h\x01\x85R0" * 10_000 + b"N."
    )  # fmt: skip


BOMBS = {
    "lists in lists": lambda: b"\x80\x02}" + pickle.dumps("G_ema")[:-1] + lists_in_lists(200_000)[:-1] + b"s.",
    "doubled tuples as a key": lambda: b"\x80\x02}" + tuples_doubling(60)[2:] + b"K\x01s.",
    "doubled tuples as a member": lambda: b"\x80\x04\x8f(" + tuples_doubling(60)[2:] + b"\x90.",
    "a memo index": lambda: b"\x80\x02]r\xff\xff\xff\xff.",
    "announced bytes": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",
    "announced text": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b".",
    "a long integer": lambda: b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + bytes(1 << 20) + b".",
    "digits of an integer": lambda: b"I" + b"9" * 4000 + b"\n.",
    "a line without end": lambda: b"c" + b"a" * 100_000,
    "instructions": lambda: b"N0" * 3_000_000 + b"N.",
    "a tensor of one number": lambda: tensor_pickle(torch.zeros(1).untyped_storage(), (1 << 20, 1 << 20), (0, 0)),
    "a tensor outside its storage": lambda: tensor_pickle(torch.zeros(4).untyped_storage(), (2,), (1,), 1 << 20),
    "one list copied again and again": lambda: (
        b"\x80\x02(" + b"K\x01" * 100_000 + b"lq\x01" + b"ctorch\nSize\nq\x02" + b"h\x02h\x01\x85R0" * 10_000 + b"N."
    ),
    "one text encoded again and again": lambda: (
        b"\x80\x02X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x01X\x06\x00\x00\x00latin1q\x03"
        + b"c_codecs\nencode\nq\x02(" + b"h\x02h\x01h\x03\x86R" * 100_000 + b"l."
    ),
    "one pickle read again and again": lambda: slow_storage_again_and_again(),
    "doubled tuples as an encoding": lambda: (
        tuples_doubling(40) + b"q\x090c_codecs\nencode\nU\x01ah\x09\x86R."
    ),
    "doubled tuples as the type of an array": lambda: (
        tuples_doubling(40) + b"q\x090cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nh\x09\x85RU\x04abcd\x86R."
    ),
    "doubled tuples as the name of a storage": lambda: legacy(
        tuples_doubling(40) + b"q\x090(U\x07storagectorch\nFloatStorage\nh\x09U\x03cpuK\x04tQ."
    ),
    "NaN as the name of a storage": lambda: legacy(
        b"\x80\x02" + b"(U\x07storagectorch\nFloatStorage\nG\x7f\xf8\0\0\0\0\0\0U\x03cpuK\x04tQ0" * 1000 + b"N."
    ),
    "sizes made of bytes": lambda: repeated_call(b"ctorch\nSize\n"),
    "a set made of bytes": lambda: repeated_call(b"cbuiltins\nset\n"),
    "a path made of bytes": lambda: repeated_call(b"cpathlib\nPosixPath\n"),
    "a dictionary made of bytes": lambda: repeated_call(b"ccollections\nOrderedDict\n"),
    "a fresh budget for each pickle inside": lambda: (
        b"\x80\x02cnumpy\ndtype\n0B" + struct.pack("<I", 400_000) + b"N0" * 200_000 + b"q\x010ctorch.storage\n"
        b"_load_from_bytes\nq\x020" + b"ccopyreg\n_reconstructor\nh\x02Nh\x01\x87R0" * 1000 + b"N."
    ),
    "numbers that collide": lambda: (
        b"\x80\x04}(" + b"".join(b"\x8a\x0b" + (i * (2**61 - 1)).to_bytes(11, "little") + b"N" for i in range(100_000))
        + b"u."
    ),
    "numbers that collide in a set": lambda: (
        b"\x80\x04\x8f(" + b"".join(b"\x8a\x0b" + (i * (2**61 - 1)).to_bytes(11, "little") for i in range(100_000))
        + b"\x90."
    ),
    "slices in slices": lambda: b"\x80\x02" + b"N" + b"q\x010cbuiltins\nslice\nh\x01N\x86R" * 50_000 + b".",
    "a huge array": lambda: pickle.dumps(Call(np.zeros(1).__reduce__()[0], np.ndarray, (1 << 40,), b"b"), protocol=2),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BOMBS))
def test_bombs_cost_little(tmp_path, name):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[name]())
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(CheckpointError) as caught:
        load(path).network("G_ema")
    assert time.process_time() - start < 5 and "\n" not in str(caught.value) and len(str(caught.value)) < 1500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_many_large_tensors_of_few_bytes_are_refused(tmp_path):
    storage = torch.zeros(1 << 16).untyped_storage()
    function = torch._utils._rebuild_tensor_v2
    views = {f"b{i}": Call(function, storage, i, (1 << 17,), (1,), False, {}) for i in range(200)}
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"G_ema": stock.Persistent("VideoGenerator", _buffers=views)}))
    with pytest.raises(CheckpointError, match="the same bytes stand for many values"):
        load(path).network("G_ema")


def test_modules_and_values_without_end_are_refused(tmp_path):
    inner = stock.Persistent("Part")
    inner.state["_modules"]["again"] = inner
    path = stock.write(tmp_path / "a.pkl", G_ema=stock.Persistent("VideoGenerator"))
    assert load(path).readers
    chain = stock.Persistent("Part")
    for _ in range(200):
        outer = stock.Persistent("Part")
        outer.state["_modules"]["x"] = chain
        chain = outer
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        stock.write(path, G_ema=chain)
    finally:
        sys.setrecursionlimit(limit)
    with pytest.raises(CheckpointError, match="nested more than"):
        load(path)
    deep = []
    for _ in range(200):
        deep = [deep]
    path.write_bytes(pickle.dumps({"G_ema": stock.Persistent("VideoGenerator", _init_kwargs={"a": deep})}))
    with pytest.raises(CheckpointError, match="nested more than"):
        load(path).network("G_ema")


def test_few_bytes_that_stand_for_endless_values_are_refused(tmp_path):
    values = [1]
    for _ in range(40):
        values = [values, values]
    path = stock.write(tmp_path / "a.pkl", G_ema=stock.Persistent("VideoGenerator"), training_set_kwargs={"a": values})
    with pytest.raises(CheckpointError, match="more than 400000 values"):
        load(path)
    stock.write(path, G_ema=stock.Persistent("VideoGenerator", _init_kwargs={"a": values}))
    with pytest.raises(CheckpointError, match="more than 20000 values"):
        load(path).network("G_ema")
    module = stock.Persistent("Part")
    for _ in range(40):
        outer = stock.Persistent("Part")
        outer.state["_modules"] |= {"a": module, "b": module}
        module = outer
    with pytest.raises(CheckpointError, match="more than 20000 modules"):
        load(stock.write(path, G_ema=module))


GREEDY = {
    "channels": {"channel_base": 1 << 40, "channel_max": 1 << 40}, "latents": {"z_dim": 1 << 40},
    "w": {"w_dim": 1 << 30}, "layers": {"mapping_kwargs": {"num_layers": 1 << 30}},
    "noise": {"img_resolution": 1 << 30, "use_noise": True}, "classes": {"c_dim": 1 << 40},
}  # fmt: skip


@pytest.mark.parametrize("name", list(GREEDY))
def test_arguments_that_ask_for_more_than_the_file_holds_are_refused(tmp_path, golden, name):
    kwargs = dict(
        c_dim=1, num_frames=1, img_resolution=32, img_channels=3, z_dim=64, w_dim=64, channel_base=1024, channel_max=32
    )
    state = golden("stylegan2_32").state("G")
    network = stock.module_tree("VideoGenerator", state, init_kwargs={**kwargs, **GREEDY[name]})
    path = stock.write(tmp_path / "a.pkl", G_ema=network)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="far more than the tensors of the file|use 1 to 64"):
        load(path).build_generator()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_records_of_odd_parts_and_names_end_in_one_line(tmp_path):
    path = tmp_path / "a.pkl"
    for odd in ({"_modules": 3}, {"_parameters": [1]}, {"_buffers": {"a": 5}}, {"_init_kwargs": 7}, {"_init_args": 1}):
        stock.write(path, G_ema=stock.Persistent("VideoGenerator", **odd))
        with pytest.raises(CheckpointError) as caught:
            load(path).build_generator()
        assert "\n" not in str(caught.value)
    stock.write(path, G_ema=stock.Persistent("Evil\n\x1b[31mName"))
    with pytest.raises(CheckpointError, match=r"Evil\?\?\[31mName"):
        load(path).build_generator()


def test_random_bytes_and_cut_files_end_in_one_line(tmp_path, golden):
    whole = stock.write(tmp_path / "a.pkl", G_ema=stock.module_tree("Generator", golden("stylegan2_32").state("G")))
    data = whole.read_bytes()
    rng = np.random.RandomState(0)
    path = tmp_path / "b.pkl"
    for case in range(150):
        damaged = bytearray(data)
        if case < 50:
            damaged = damaged[: rng.randint(len(data))]
        elif case < 100:
            damaged = rng.bytes(rng.randint(1, 2000))
        else:
            for position in rng.randint(3000, size=4):
                damaged[position] = rng.randint(256)
        path.write_bytes(damaged)
        try:
            load(path).build_generator()
        except CheckpointError as error:
            assert "\n" not in str(error)
