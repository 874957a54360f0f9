"""Print `docs/api.md`, made from the docstrings of the public names; `make docs` writes it."""

import ast
from collections.abc import Iterator

from tests.docstrings import docstring_of
from tests.public_names import FRONT_DOOR, ROOT, PublicName, packages, parse, public_names

PAGE = ROOT / "docs" / "api.md"
_HEAD = """# Public names

This page is made from the docstrings by `make docs`.

Every name imports its module at first use, so `import stylegan_v_ext` does not import PyTorch.
[examples/](../examples/README.md) shows the names at work.
"""


def page() -> str:
    """The text of the page."""
    front_door = [f"## `{FRONT_DOOR}`\n", *("\n".join(_in_full(public)) for public in public_names(FRONT_DOOR))]
    return "\n".join([_HEAD, *front_door, *("\n".join(_package(package)) for package in packages()[1:])])


def _package(package: str) -> Iterator[str]:
    docstring = docstring_of(parse(package))
    yield from (
        f"## `{package}`",
        "",
        docstring.summary if docstring else "",
        "",
        "| name | what it is |",
        "| --- | --- |",
    )
    yield from (f"| `{public.name}` | {_summary(public)} |" for public in public_names(package))
    yield ""


def _in_full(public: PublicName) -> Iterator[str]:
    yield from (f"### `{public.name}`", "", "```python", _signature(public.node), "```", "", _summary(public))
    docstring = public.docstring
    if docstring is not None:
        yield from "\n".join(docstring.text).rstrip().splitlines()
        for section, lines in docstring.sections.items():
            yield from _section(section, docstring.entries(section), lines)
    if isinstance(public.node, ast.ClassDef):
        yield from _methods(public.node)
    yield ""


def _section(title: str, entries: dict[str, str], lines: list[str]) -> Iterator[str]:
    yield from ("", f"**{title}**", "")
    if title in ("Returns", "Yields"):
        yield " ".join(line.strip() for line in lines).strip()
    else:
        yield from (f"- `{name}`: {text}" for name, text in entries.items())


def _methods(node: ast.ClassDef) -> Iterator[str]:
    public = [part for part in node.body if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]
    methods = [part for part in public if not any("setter" in ast.unparse(mark) for mark in part.decorator_list)]
    if methods:
        yield from ("", "| method or property | what it does or is |", "| --- | --- |")
    for method in methods:
        docstring = docstring_of(method)
        is_property = any(ast.unparse(mark).endswith("property") for mark in method.decorator_list)
        arguments = ", ".join(argument.arg for argument in _all(method.args) if argument.arg != "self")
        call = method.name if is_property else f"{method.name}({arguments})"
        yield f"| `{call}` | {docstring.summary if docstring else ''} |"


def _summary(public: PublicName) -> str:
    return public.docstring.summary if public.docstring else ""


def _signature(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef):
        made = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
        return f"class {node.name}" if made is None else f"class {node.name}({_arguments(made.args)})"
    if isinstance(node, ast.FunctionDef):
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({_arguments(node.args)}){returned}"
    return ast.unparse(node)


def _arguments(arguments: ast.arguments) -> str:
    """Arguments as in the source, without `self`; one on each line if they are long."""
    parts = list(_with_defaults(arguments))
    line = ", ".join(parts)
    return line if len(line) < 80 else "\n    " + ",\n    ".join(parts) + ",\n"


def _with_defaults(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(positional, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield _argument(argument, default)
    if arguments.vararg:
        yield f"*{_argument(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _argument(argument, default)
    if arguments.kwarg:
        yield f"**{_argument(arguments.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = f"{argument.arg}: {ast.unparse(argument.annotation)}" if argument.annotation else argument.arg
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _all(arguments: ast.arguments) -> list[ast.arg]:
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


if __name__ == "__main__":
    print(page(), end="")
