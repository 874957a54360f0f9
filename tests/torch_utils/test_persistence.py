"""Persistent pickles: layout, round trips, hooks."""

import pickle
import pickletools
import subprocess
import sys

import pytest
import torch

from torch_utils import persistence


@persistence.persistent_class
class Scaled(torch.nn.Module):
    """A module that remembers how it was made."""

    def __init__(self, size, gain=1.0, options=None):
        super().__init__()
        self.gain = gain
        self.weight = torch.nn.Parameter(torch.arange(float(size)))
        self.register_buffer("shift", torch.ones(size))

    def forward(self, x):
        return x * self.weight * self.gain + self.shift


@persistence.persistent_class
class Doubled(Scaled):
    def forward(self, x):
        return 2 * super().forward(x)


def test_init_arguments_are_remembered_as_copies():
    options = {"a": [1]}
    module = Scaled(3, gain=2.0, options=options)
    options["a"].append(2)
    assert module.init_args == (3,)
    assert module.init_kwargs == {"gain": 2.0, "options": {"a": [1]}}
    module.init_kwargs.options["a"].append(5)
    assert module.init_kwargs.options == {"a": [1]}


def test_record_has_the_stock_layout():
    function, (record,), *rest = Scaled(2).__reduce__()
    assert function is persistence._reconstruct_persistent_obj and not any(rest)
    assert set(record) == {"type", "version", "module_src", "class_name", "state"}
    assert (record["type"], record["version"], record["class_name"]) == ("class", 6, "Scaled")
    assert "class Scaled(torch.nn.Module)" in record["module_src"]
    names = {arg for _, arg, _ in pickletools.genops(pickle.dumps(Scaled(2), protocol=2)) if isinstance(arg, str)}
    assert "torch_utils.persistence _reconstruct_persistent_obj" in names


def test_pickle_round_trip_computes_the_same():
    module = Doubled(4, gain=3.0)
    again = pickle.loads(pickle.dumps(module))
    x = torch.randn(2, 4)
    assert torch.equal(again(x), module(x))
    assert again.init_kwargs == {"gain": 3.0} and type(again).__name__ == "Doubled"
    assert persistence.is_persistent(again) and persistence.is_persistent(Doubled)
    assert not persistence.is_persistent(torch.nn.Linear(1, 1)) and not persistence.is_persistent([])


def test_pickle_opens_where_the_class_cannot_be_imported(tmp_path):
    source = tmp_path / "somewhere.py"
    source.write_text(
        "from torch_utils import persistence\n"
        "import torch\n"
        "@persistence.persistent_class\n"
        "class Plus(torch.nn.Module):\n"
        "    def __init__(self, n):\n        super().__init__()\n        self.n = n\n"
        "    def forward(self, x):\n        return x + self.n\n"
    )
    write = "import pickle, somewhere; pickle.dump(somewhere.Plus(5), open('plus.pkl', 'wb'))"
    subprocess.run([sys.executable, "-c", write], check=True, cwd=tmp_path)
    source.unlink()
    for path in tmp_path.glob("__pycache__/*"):
        path.unlink()
    read = "import pickle, torch; m = pickle.load(open('plus.pkl', 'rb')); print(int(m(torch.tensor(2))), m.init_args)"
    result = subprocess.run([sys.executable, "-c", read], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.split() == ["7", "(5,)"]


def test_import_hooks_see_and_change_records(monkeypatch):
    monkeypatch.setattr(persistence, "_IMPORT_HOOKS", [])
    seen = []

    @persistence.import_hook
    def hook(meta):
        seen.append((meta.type, meta.version, meta.class_name))
        meta.state["gain"] = 10.0
        return meta

    again = pickle.loads(pickle.dumps(Scaled(2)))
    assert seen == [("class", 6, "Scaled")] and again.gain == 10.0
    with pytest.raises(TypeError, match="not callable"):
        persistence.import_hook(3)
