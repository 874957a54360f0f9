"""Pickles that carry the source code of the classes in them.

An object of a class that is decorated with `persistent_class` is pickled as a *record*: the text of the class's module,
the class's name and the object's state. The unpickler runs this text. So the pickle opens wherever PyTorch and this
package are installed, even if the class has changed since. stylegan2-ada-pytorch and stylegan3 read and write the same
layout (version 6).

Python's own unpickler executes the source in such a pickle. Use `stylegan_v_ext.checkpoints` for files from other
people: it never executes code.
"""

import copy
import hashlib
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, TypeVar

import dnnlib

__all__ = ["import_hook", "is_persistent", "module_from_source", "persistent_class"]

_Class = TypeVar("_Class", bound=type)

_VERSION = 6
_DECORATED: set[type] = set()
_IMPORT_HOOKS: list[Callable[[Any], Any]] = []
_SOURCE_OF_MODULE: dict[types.ModuleType, str] = {}
_MODULE_OF_SOURCE: dict[str, types.ModuleType] = {}


def persistent_class(orig_class: _Class) -> _Class:
    """Decorate a class so that its instances are pickled together with the source of their module.

    Instances remember the arguments they were made with, as `init_args` (tuple) and `init_kwargs` (EasyDict). Both give
    copies.

    Args:
        orig_class: The class.

    Returns:
        A subclass with the same name, or the class itself if it is already decorated.
    """
    if is_persistent(orig_class):
        return orig_class
    module = sys.modules[orig_class.__module__]
    source = _module_source(module)
    class_name = orig_class.__name__

    class Persistent(orig_class):  # type: ignore[misc, valid-type]
        _orig_module_src = source
        _orig_class_name = class_name

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            self._init_args = copy.deepcopy(args)
            self._init_kwargs = copy.deepcopy(kwargs)

        @property
        def init_args(self) -> tuple:
            return copy.deepcopy(self._init_args)

        @property
        def init_kwargs(self) -> dnnlib.EasyDict:
            return dnnlib.EasyDict(copy.deepcopy(self._init_kwargs))

        def __reduce__(self) -> tuple:
            reduced = super().__reduce__()
            if reduced[0] is _reconstruct_persistent_obj:
                return reduced  # a persistent base class wrote the record of this class
            state = reduced[2] if len(reduced) > 2 else None
            record = {
                "type": "class",
                "version": _VERSION,
                "module_src": self._orig_module_src,
                "class_name": self._orig_class_name,
                "state": state,
            }
            return _reconstruct_persistent_obj, (record,), None, *reduced[3:]

    vars(Persistent)["__init__"].__wrapped__ = orig_class.__init__  # type: ignore[misc]  # for inspect and help
    Persistent.__name__ = class_name
    Persistent.__qualname__ = orig_class.__qualname__
    Persistent.__module__ = orig_class.__module__
    Persistent.__doc__ = orig_class.__doc__
    _DECORATED.add(Persistent)
    return Persistent  # type: ignore[return-value]


def is_persistent(obj: object) -> bool:
    """Return whether an object is a class decorated with `persistent_class`, or an instance of such a class."""
    try:
        if obj in _DECORATED:
            return True
    except TypeError:  # unhashable, so not a class
        pass
    return type(obj) in _DECORATED


def import_hook(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Register a function that every record passes through before it is loaded; usable as a decorator.

    Args:
        hook: Gets an EasyDict with `type`, `version`, `module_src`, `class_name` and `state`, may change it, and
            returns it.

    Returns:
        The hook.

    Raises:
        TypeError: If the hook is not callable.
    """
    if not callable(hook):
        raise TypeError(f"import hook {hook!r} is not callable")
    _IMPORT_HOOKS.append(hook)
    return hook


def _reconstruct_persistent_obj(meta: dict) -> object:
    """Make the object of a record. Pickles refer to this function by its name."""
    record = dnnlib.EasyDict(meta)
    record.state = dnnlib.EasyDict(record.state or {})
    for hook in _IMPORT_HOOKS:
        record = hook(record)
        if record is None:
            raise ValueError("an import hook returned None; it has to return the record")
    if record.type != "class" or record.version > _VERSION:
        raise ValueError(f"cannot read a persistent record of type {record.type!r}, version {record.version}")

    cls = getattr(module_from_source(record.module_src), record.class_name)
    obj = cls.__new__(cls)
    set_state = getattr(obj, "__setstate__", None)
    if callable(set_state):
        set_state(record.state)
    else:
        obj.__dict__.update(record.state)
    return obj


def _module_source(module: types.ModuleType) -> str:
    source = _SOURCE_OF_MODULE.get(module)
    if source is None:
        source = inspect.getsource(module)
        _SOURCE_OF_MODULE[module] = source
        _MODULE_OF_SOURCE[source] = module
    return source


def module_from_source(source: str) -> types.ModuleType:
    """Run the text of a module. Never call this with text from other people.

    Args:
        source: The text.

    Returns:
        The module; the same text always gives the same module.
    """
    module = _MODULE_OF_SOURCE.get(source)
    if module is None:
        digest = hashlib.sha256(source.encode()).hexdigest()[:32]
        module = types.ModuleType(f"_imported_module_{digest}")
        sys.modules[module.__name__] = module
        _SOURCE_OF_MODULE[module] = source
        _MODULE_OF_SOURCE[source] = module
        exec(compile(source, f"<persistent {digest}>", "exec"), module.__dict__)
    return module
