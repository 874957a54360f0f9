"""The NVLabs-style helpers."""

import ctypes
import sys

import numpy as np
import pytest

import dnnlib
from dnnlib import util

STOCK_NAMES = [
    "EasyDict", "Logger", "format_time", "call_func_by_name", "construct_class_by_name", "get_obj_by_name",
    "get_module_from_obj_name", "get_obj_from_module", "get_module_dir_by_obj_name", "is_top_level_function",
    "get_top_level_function_name", "list_dir_recursively_with_ignore", "copy_files_and_create_dirs", "is_url",
    "open_url", "set_cache_dir", "make_cache_dir_path", "ask_yes_no", "tuple_product", "get_dtype_and_ctype",
    "is_pickleable", "format_time_brief",
]  # fmt: skip


def test_the_names_that_stock_code_uses_are_there():
    assert all(callable(getattr(util, name)) for name in STOCK_NAMES)
    assert dnnlib.EasyDict is util.EasyDict and dnnlib.make_cache_dir_path is util.make_cache_dir_path


def test_easydict_keys_are_attributes():
    d = util.EasyDict(a=1)
    d.b = 2
    del d.a
    assert d == {"b": 2}
    with pytest.raises(AttributeError, match="missing"):
        _ = d.missing
    with pytest.raises(AttributeError):
        del d.missing


def test_logger_writes_to_file_and_screen_and_gives_streams_back(tmp_path, capsys):
    path = tmp_path / "log.txt"
    before = sys.stdout
    with util.Logger(str(path), file_mode="a") as log:
        print("one")
        print("two", file=sys.stderr)
        log.write(b"three\n")
        assert not log.isatty()
    assert sys.stdout is before
    assert path.read_text() == "one\ntwo\nthree\n"
    assert "one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "long", "brief"),
    [(5.4, "5s", "5s"), (187, "3m 07s", "3m 07s"), (7509, "2h 05m 09s", "2h 05m"), (93784, "1d 02h 03m", "1d 02h")],
)
def test_durations_read_well(seconds, long, brief):
    assert util.format_time(seconds) == long and util.format_time_brief(seconds) == brief


def test_objects_are_found_by_name():
    assert util.get_obj_by_name("numpy.linalg.norm") is np.linalg.norm
    assert util.call_func_by_name([3, 4], func_name="numpy.linalg.norm") == 5
    assert util.construct_class_by_name(a=1, class_name="dnnlib.util.EasyDict") == {"a": 1}
    assert util.get_module_dir_by_obj_name("dnnlib.util.EasyDict").endswith("dnnlib")
    assert util.is_top_level_function(util.format_time)
    assert not util.is_top_level_function(lambda: 0)
    assert util.get_top_level_function_name(util.format_time) == "dnnlib.util.format_time"
    assert util.get_obj_by_name("len") is len


def test_names_that_lead_nowhere_are_errors():
    with pytest.raises(ImportError, match="no_such_module"):
        util.get_obj_by_name("no_such_module.thing")
    with pytest.raises(AttributeError):
        util.get_obj_by_name("dnnlib.util.nothing")
    with pytest.raises(TypeError, match="not callable"):
        util.call_func_by_name(func_name="numpy.pi")
    with pytest.raises(ValueError, match="top-level"):
        util.get_top_level_function_name(lambda: 0)


def test_a_missing_dependency_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        util.get_obj_by_name("needs_more.thing")


def test_types_products_and_pickling():
    assert util.get_dtype_and_ctype("float32") == (np.dtype("float32"), ctypes.c_float)
    assert util.get_dtype_and_ctype(np.uint8)[1] is ctypes.c_ubyte
    assert util.tuple_product((2, 3, 4)) == 24 and util.tuple_product(()) == 1
    assert util.is_pickleable({"a": 1}) and not util.is_pickleable(lambda: 0)


def test_questions_are_asked_until_answered(monkeypatch):
    answers = iter(["maybe", "YES"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert util.ask_yes_no("Sure?") is True


def test_folders_are_listed_and_copied(tmp_path):
    for name in ("a/x.py", "a/skip/y.py", "b.txt"):
        (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "src" / name).write_text(name)
    found = util.list_dir_recursively_with_ignore(str(tmp_path / "src"), ignores=["skip"], add_base_to_relative=True)
    assert [relative for _, relative in found] == ["src/b.txt", "src/a/x.py"]
    util.copy_files_and_create_dirs([(path, str(tmp_path / "dst" / relative)) for path, relative in found])
    assert (tmp_path / "dst/src/a/x.py").read_text() == "a/x.py"
    with pytest.raises(ValueError, match="not a folder"):
        util.list_dir_recursively_with_ignore(str(tmp_path / "none"))
