"""The public names of the project's packages with their source, found without importing anything."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.docstrings import Docstring, docstring_of, parse_docstring

ROOT = Path(__file__).parents[1]
FRONT_DOOR = "stylegan_v_ext"
INNER = {"cli"}  # commands for the shell, not for import


@dataclass(frozen=True)
class PublicName:
    """A name in the `__all__` of a package, the module that defines it and the statement there."""

    package: str
    name: str
    module: str
    node: ast.stmt

    @property
    def docstring(self) -> Docstring | None:
        """The docstring of a class or function; for a value the string below it; None if there is no string."""
        if isinstance(self.node, ast.FunctionDef | ast.ClassDef):
            return docstring_of(self.node)
        body = parse(self.module).body
        following = body[body.index(self.node) + 1 :]
        text = following[0].value if following and isinstance(following[0], ast.Expr) else None
        return parse_docstring(text.value) if isinstance(text, ast.Constant) and isinstance(text.value, str) else None


def packages() -> list[str]:
    """The front door, then the packages in it that have public names."""
    inner = sorted(path.parent.name for path in (ROOT / FRONT_DOOR).glob("*/__init__.py"))
    return [FRONT_DOOR, *(f"{FRONT_DOOR}.{name}" for name in inner if name not in INNER)]


def exported(package: str) -> list[str]:
    """The names in the `__all__` of a package; an empty list if it has no `__all__`."""
    for statement in parse(package).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return list(ast.literal_eval(statement.value))
    return []


def public_names(package: str) -> list[PublicName]:
    """The public names of a package, in the order of its `__all__`."""
    return [PublicName(package, name, *definition(package, name)) for name in exported(package)]


def definition(module: str, name: str) -> tuple[str, ast.stmt]:
    """The module that defines a name which `module` defines or imports, and the statement that defines it."""
    for statement in _statements(parse(module).body):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            return module, statement
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if name in (ast.unparse(target) for target in targets):
                return module, statement
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return definition(str(statement.module), alias.name)
    raise LookupError(f"{module} neither defines nor imports {name}")


@cache
def parse(module: str) -> ast.Module:
    """The syntax tree of a module of the project."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements of a module, those under `if TYPE_CHECKING:` included."""
    return [part for one in body for part in ([*one.body, *one.orelse] if isinstance(one, ast.If) else [one])]
