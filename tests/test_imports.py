"""Who imports whom: no circles, and layers that know nothing of those above them.

All modules are read, not run. What counts as an import:

- at the level of a module, every import but those under `if TYPE_CHECKING`: these may make no circle at all, neither
  between two modules nor between a module and a package above it;
- inside functions, every import as well: together with those of modules they may make no circle between parts, which
  are the packages and the single modules below `stylegan_v_ext`, nor between two modules of one part;
- a name that a package imports at its first use counts as an import of the module that defines it, which the package
  names under `if TYPE_CHECKING`.
"""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("stylegan_v_ext", "torch_utils", "dnnlib", "patches")
_LIBRARIES = {"dnnlib", "torch_utils", "patches"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for top in TOP for path in sorted((ROOT / top).rglob("*.py"))}


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imported(node, module, path):
    """Full names of the modules of this project that an import statement imports."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        above = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        inner = [lazy_names(base).get(alias.name, f"{base}.{alias.name}") for alias in node.names]
        names = [name if name in MODULES else base for name in inner]
    return [name for name in names if name in MODULES]


@functools.cache
def lazy_names(package):
    """The modules that define the names which a package imports at first use, by name."""
    if package not in MODULES or MODULES[package].name != "__init__.py":
        return {}
    blocks = [node for node in ast.parse(MODULES[package].read_text(encoding="utf-8")).body if is_for_types(node)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


def read(module, *, inside_functions):
    """Modules that a module imports, with the line of the first import of each."""
    path, found = MODULES[module], {}

    def visit(node):
        if is_for_types(node):
            for other in node.orelse:
                visit(other)
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in imported(node, module, path):
                found.setdefault(name, node.lineno)
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not inside_functions:
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return {name: line for name, line in found.items() if name != module}


def graph_of_modules(*, inside_functions):
    return {module: read(module, inside_functions=inside_functions) for module in MODULES}


def part_of(module):
    """The package or the single module below `stylegan_v_ext` that a module belongs to; other libraries are one."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] == "stylegan_v_ext" else names[0]


def circles(graph):
    """A circle for each group of nodes that reach each other."""
    found, done = [], set()

    def reached(start):
        seen, waiting, back = {start}, [start], {}
        while waiting:
            here = waiting.pop(0)
            for other in graph.get(here, ()):
                if other == start:
                    way = [start]
                    while here != start:
                        way.append(here)
                        here = back[here]
                    return [start, *reversed(way)] if len(way) > 1 else []
                if other not in seen:
                    seen.add(other)
                    back[other] = here
                    waiting.append(other)
        return []

    for node in graph:
        if node not in done and (way := reached(node)):
            done.update(way)
            found.append(" -> ".join(way))
    return found


def test_no_module_imports_itself_by_a_detour():
    wrong = circles(graph_of_modules(inside_functions=False))
    assert not wrong, "\n".join(wrong)


def test_no_import_inside_a_function_hides_a_circle_between_modules():
    wrong = circles(graph_of_modules(inside_functions=True))
    assert not wrong, "\n".join(wrong)


def test_no_import_inside_a_function_hides_a_circle_between_parts():
    graph = {}
    for module, others in graph_of_modules(inside_functions=True).items():
        parts = {part_of(other) for other in others} - {part_of(module), "stylegan_v_ext"}
        graph.setdefault(part_of(module), set()).update(parts)
    wrong = circles(graph)
    assert not wrong, "\n".join(wrong)


_COMMANDS = ("cli", "host", "runs", "view")
_WORK = ("editing", "engine", "generate", "metrics")
FORBIDDEN = {
    "networks": ("checkpoints", "config", "data", *_WORK, *_COMMANDS),
    "data": ("checkpoints", "config", "networks", *_WORK, *_COMMANDS),
    "config": ("checkpoints", "data", "networks", *_WORK, *_COMMANDS),
    "checkpoints": ("data", *_WORK, *_COMMANDS),
    "generate": ("editing", "engine", "metrics", *_COMMANDS),
    "metrics": ("editing", "engine", *_COMMANDS),
    "editing": ("engine", *_COMMANDS),
    "engine": ("editing", *_COMMANDS),
    "host": ("cli", "runs", "view"),
    "runs": ("cli", "view"),
    "view": ("cli", "runs"),
}
"""Packages of `stylegan_v_ext` that a package knows nothing of, not even inside a function."""


@pytest.mark.parametrize("package", FORBIDDEN)
def test_layers_know_nothing_of_those_above_them(package):
    package, above = f"stylegan_v_ext.{package}", [f"stylegan_v_ext.{name}" for name in FORBIDDEN[package]]
    wrong = [
        f"{module}:{line} imports {other}"
        for module, others in graph_of_modules(inside_functions=True).items()
        if module == package or module.startswith(f"{package}.")
        for other, line in others.items()
        if part_of(other) in above
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(_LIBRARIES))
def test_libraries_know_nothing_of_the_package(library):
    wrong = [
        f"{module}:{line} imports {other}"
        for module, others in graph_of_modules(inside_functions=True).items()
        if part_of(module) == library
        for other, line in others.items()
        if part_of(other) not in (library, "dnnlib", "torch_utils")
    ]
    assert not wrong, "\n".join(wrong)


def is_command(module):
    """Whether a module of the command line defines a command."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    decorators = [ast.unparse(decorator) for function in functions for decorator in function.decorator_list]
    return any(".command(" in decorator or ".group(" in decorator for decorator in decorators)


def test_commands_import_no_other_command():
    commands = {module for module in read("stylegan_v_ext.cli.main", inside_functions=False) if is_command(module)}
    assert len(commands) > 5
    wrong = [
        f"{module}:{line} imports {other}"
        for module in sorted(commands)
        for other, line in read(module, inside_functions=True).items()
        if other in commands
    ]
    assert not wrong, "\n".join(wrong)
