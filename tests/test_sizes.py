"""Files and functions stay short enough to be read at once."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for top in ("stylegan_v_ext", "torch_utils", "dnnlib", "patches") for path in (ROOT / top).rglob("*.py")]
LONGEST_FILE, LONGEST_FUNCTION = 350, 60  # lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_escapes_from_the_rules_stay_rare():
    text = "\n".join(path.read_text(encoding="utf-8") for path in FILES if path.is_relative_to(ROOT / "stylegan_v_ext"))
    counts = {escape: text.count(escape) for escape in (": Any", "# fmt: skip", "noqa")}
    assert counts[": Any"] < 40 and counts["# fmt: skip"] < 40 and counts["noqa"] < 30, counts
