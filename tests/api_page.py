"""Make `docs/api.md` from the docstrings of the public names: `python -m tests.api_page`."""

import ast

from tests.docstrings import docstring_of
from tests.public_names import FRONT_DOOR, ROOT, PublicName, packages, parse, public_names

PAGE = ROOT / "docs" / "api.md"
_HEAD = """# Public names

Made from the docstrings by `python -m tests.api_page`; a test compares.

Every name imports its module at first use: `import stylegan_v_ext` takes no time and does not import PyTorch.
[examples/](../examples) shows the names at work.
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([_HEAD, _front_door(), *(_package(package) for package in packages()[1:])])


def _front_door() -> str:
    names = public_names(FRONT_DOOR)
    return f"## `{FRONT_DOOR}`\n\n" + "\n".join(_in_full(public) for public in names)


def _package(package: str) -> str:
    docstring = docstring_of(parse(package))
    rows = [f"| `{public.name}` | {_summary(public)} |" for public in public_names(package)]
    head = [f"## `{package}`", "", docstring.summary if docstring else "", "", "| name | what |", "| --- | --- |"]
    return "\n".join([*head, *rows, ""])


def _in_full(public: PublicName) -> str:
    lines = [f"### `{public.name}`", "", "```python", _signature(public.node), "```", "", _summary(public), ""]
    docstring = public.docstring
    for section in ("Args", "Attributes", "Raises"):
        entries = docstring.entries(section) if docstring else {}
        if entries:
            lines += [f"{section}:", "", *(f"- `{name}`: {text}" for name, text in entries.items()), ""]
    for section in ("Returns", "Yields"):
        if docstring and section in docstring.sections:
            lines += [f"{section}: " + " ".join(line.strip() for line in docstring.sections[section]).strip(), ""]
    methods = [part for part in getattr(public.node, "body", []) if isinstance(public.node, ast.ClassDef)]
    shown = [part for part in methods if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]
    if shown:
        lines += ["| method | what |", "| --- | --- |", *(_method(method) for method in shown), ""]
    return "\n".join(lines)


def _method(method: ast.FunctionDef) -> str:
    docstring = docstring_of(method)
    arguments = ", ".join(name for name in _names(method.args) if name != "self")
    return f"| `{method.name}({arguments})` | {docstring.summary if docstring else ''} |"


def _names(arguments: ast.arguments) -> list[str]:
    return [argument.arg for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]


def _summary(public: PublicName) -> str:
    return public.docstring.summary if public.docstring else f"`{ast.unparse(public.node)}`"


def _signature(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef):
        made = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
        return f"class {node.name}" if made is None else f"class {node.name}({_arguments(made.args)})"
    if isinstance(node, ast.FunctionDef):
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({_arguments(node.args)}){returned}"
    return ast.unparse(node)


def _arguments(arguments: ast.arguments) -> str:
    """Arguments as in the source, without `self`; one on each line if they are many."""
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments = ast.arguments(
            posonlyargs=arguments.posonlyargs, args=arguments.args[1:], vararg=arguments.vararg,
            kwonlyargs=arguments.kwonlyargs, kw_defaults=arguments.kw_defaults, kwarg=arguments.kwarg,
            defaults=arguments.defaults,
        )  # fmt: skip
    text = ast.unparse(arguments)
    return text if len(text) < 80 else "\n    " + text.replace(", ", ",\n    ") + ",\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
