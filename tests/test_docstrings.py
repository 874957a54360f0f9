"""Docstrings: complete for public names, one argument a line, in English that is read once."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.docstrings import Docstring, docstring_of
from tests.public_names import FRONT_DOOR, ROOT, PublicName, packages, public_names

SOURCES = sorted(
    path
    for place in (FRONT_DOOR, "torch_utils", "dnnlib", "patches", "examples", "train.py", "gen_video.py")
    for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
)
GROUPS = sorted({path.relative_to(ROOT).parent.as_posix() for path in SOURCES})
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

COMPRESSED = {
    r"(?:^|[.:;!?(]\s)Of (?!course)": "begin with the noun: 'Number of ...', 'Options of ...'",
    r"\bwhere there (?:is|are)\b": "'if there is', with the noun",
    r"\bNone`{0,2},? (?:where|for none|if none|if there is none)\b": "'None if ...', with the noun",
    r"\bis none\b": "'there is no ...'",
    r"\bare none\b": "'there are no ...'",
    r"\bnone (?:but|of it|of them)\b": "'no ...', with the noun",
    r"\bfor (?:none|never|as it is)\b": "say what happens: 'None turns ... off'",
    r"\bif there is none\b": "'if there is no ...'",
    r"\btheirs\b": "name whose",
    r"\bRaises? `?\w+`?,? where\b": "'if'",
}


def _functions(tree: ast.AST) -> Iterator[FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def _parameters(function: FunctionNode) -> set[str]:
    """Names of the parameters; those of `*args` and `**kwargs` may be left out of a docstring."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return {argument.arg for argument in listed} - {"self", "cls"}


def _bare(names: Iterator[str] | dict[str, str]) -> set[str]:
    return {name.lstrip("*") for name in names}


def _raised(function: FunctionNode) -> set[str]:
    """Names of the exceptions that the function itself raises."""
    inner = {node for part in ast.walk(function) if part is not function and isinstance(part, FunctionNode | ast.Lambda)
             for node in ast.walk(part)}  # fmt: skip
    calls = [node.exc for node in ast.walk(function) if isinstance(node, ast.Raise) and node not in inner]
    names = [ast.unparse(call.func if isinstance(call, ast.Call) else call) for call in calls if call is not None]
    return {name.rpartition(".")[2] for name in names if name.rpartition(".")[2][:1].isupper()}


def _returns(function: FunctionNode) -> bool:
    return function.returns is not None and ast.unparse(function.returns) not in ("None", "NoReturn", "Never")


def _missing(public: PublicName) -> Iterator[str]:
    """What the docstring of a public name lacks."""
    if isinstance(public.node, FunctionNode):
        yield from _missing_in_function(public.node, public.docstring)
    elif isinstance(public.node, ast.ClassDef):
        yield from _missing_in_class(public.node, public.docstring)
    elif public.docstring is None:
        yield "a string below it that says what it is"


def _missing_in_function(function: FunctionNode, docstring: Docstring | None) -> Iterator[str]:
    if docstring is None:
        yield "a docstring"
        return
    yield from (f"Args: {name}" for name in sorted(_parameters(function) - _bare(docstring.entries("Args"))))
    if _returns(function) and not {"Returns", "Yields"} & set(docstring.sections):
        yield "Returns"
    yield from (f"Raises: {name}" for name in sorted(_raised(function) - set(docstring.entries("Raises"))))


def _missing_in_class(node: ast.ClassDef, docstring: Docstring | None) -> Iterator[str]:
    if docstring is None:
        yield "a docstring"
        return
    told = _bare(docstring.entries("Args")) | _bare(docstring.entries("Attributes"))
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        yield from (f"Attributes: {name}" for name in sorted(_undescribed_fields(node) - told))
        return
    made = next((part for part in node.body if isinstance(part, FunctionNode) and part.name == "__init__"), None)
    if made is not None:
        yield from (f"Args: {name}" for name in sorted(_parameters(made) - told))
        yield from (f"Raises: {name}" for name in sorted(_raised(made) - set(docstring.entries("Raises"))))


def _undescribed_fields(node: ast.ClassDef) -> set[str]:
    """Fields of a dataclass whose own definition holds no sentence about them."""
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]
    return {ast.unparse(part.target) for part in fields if not _begins_with_a_sentence(part.value)}


def _begins_with_a_sentence(value: ast.expr | None) -> bool:
    """Return whether a field is made by a call such as `setting("Clips of a step", ...)`."""
    first = value.args[0] if isinstance(value, ast.Call) and value.args else None
    return isinstance(first, ast.JoinedStr) or (isinstance(first, ast.Constant) and isinstance(first.value, str))


@pytest.mark.parametrize("package", packages())
def test_public_names_tell_their_arguments_results_and_errors(package):
    missing = [
        f"{public.module}.{public.name}: {part}" for public in public_names(package) for part in _missing(public)
    ]
    assert not missing, "no word of\n" + "\n".join(missing)


@pytest.mark.parametrize("group", GROUPS)
def test_arguments_are_explained_in_their_section_and_completely(group):
    wrong = []
    for path in SOURCES:
        if path.relative_to(ROOT).parent.as_posix() == group:
            for function in _functions(ast.parse(path.read_text(encoding="utf-8"))):
                wrong += [f"{path.relative_to(ROOT)}:{function.lineno} {fault}" for fault in _faults(function)]
    assert not wrong, "\n" + "\n".join(wrong)


def _faults(function: FunctionNode) -> Iterator[str]:
    docstring, parameters = docstring_of(function), _parameters(function)
    if docstring is None:
        return
    entries = docstring.entries("Args")
    for line in [docstring.summary, *docstring.text]:
        match = re.match(r"\s*(\*{0,2}\w+(?:(?:, | and )\*{0,2}\w+)*):\s", line)
        named = set(re.findall(r"\w+", match[1])) if match else set()
        if named & parameters:
            yield f"{function.name} explains {', '.join(sorted(named & parameters))} outside of Args"
    everything = parameters | {part.arg for part in (function.args.vararg, function.args.kwarg) if part}
    if entries:
        for name in sorted(parameters - _bare(entries)):
            yield f"{function.name} has Args without {name}"
        for name in sorted(_bare(entries) - everything):
            yield f"{function.name} has no parameter {name}"


def _texts(path) -> Iterator[tuple[int, str]]:
    """Docstrings and comments of a file with their line numbers; comments of neighbouring lines are one text."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FunctionNode | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            yield node.body[0].lineno, ast.get_docstring(node) or ""
    comments = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    yield from comments


def _compressed(text: str) -> Iterator[str]:
    lines = " ".join(text.split()) if "\n\n" not in text else text
    for pattern, cure in COMPRESSED.items():
        for match in re.finditer(pattern, lines, flags=re.MULTILINE):
            shown = lines[max(0, match.start() - 25) : match.end() + 25].replace("\n", " ")
            yield f"'{shown}': write {cure}"


@pytest.mark.parametrize("group", GROUPS)
def test_docstrings_and_comments_are_plain_english(group):
    wrong = []
    for path in SOURCES:
        if path.relative_to(ROOT).parent.as_posix() == group:
            for number, text in _texts(path):
                wrong += [f"{path.relative_to(ROOT)}:{number} {fault}" for fault in _compressed(text)]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_are_plain_english(path):
    text = path.read_text(encoding="utf-8")
    shown_as_wrong = re.compile(r"^\| instead of \|.*?(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
    wrong = list(_compressed(shown_as_wrong.sub("", text)))
    assert not wrong, "\n" + "\n".join(wrong)
