"""The README and the pages of the docs: their commands parse, their Python runs, their links lead somewhere."""

import ast
import importlib.util
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest

import stylegan_v_ext
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.cli.switches import spelled_out
from tests.public_names import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/*.md"))]
LAYOUT = ROOT / "docs" / "architecture.md"
STARTS = ("python ", "stylegan-v ", "make ", "torchrun ")
SCRIPTS = {"train.py": "train", "gen_video.py": "generate"}


def page_names(path):
    return path.relative_to(ROOT).as_posix()


def commands(path):
    """Lines of a page's code blocks that a reader types, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    lines = re.findall(r"^(?:    | *\d+\. `)(.*)$", text, flags=re.MULTILINE)
    return [line for line in lines if line.startswith(STARTS)]


def python_blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def check_options(command, arguments):
    """Raise for an option that the command does not have, and for a value that is none of its choices."""
    context = click.Context(command)
    words = list(spelled_out(command.params, arguments))
    options, _, order = command.make_parser(context).parse_args(args=words)
    for parameter in order:
        if isinstance(parameter.type, click.Choice | click.types._NumberRangeBase):
            parameter.type_cast_value(context, options[parameter.name])


def check_command(words):
    """Raise if a command line of the docs cannot be meant."""
    script = next((word for word in words if word in SCRIPTS or Path(word).name in SCRIPTS), None)
    if words[0] == "make":
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in words[1:])
    elif script is not None and words[:2] != ["python", "-m"]:
        check_options(main.commands[SCRIPTS[Path(script).name]], words[words.index(script) + 1 :])
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    elif words[0] == "python":
        assert (ROOT / words[1]).exists()
    else:
        command, arguments = main, words[1:]
        while isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
            command, arguments = command.commands[arguments[0]], arguments[1:]
        assert command is not main
        check_options(command, arguments)


@pytest.mark.parametrize("path", PAGES, ids=page_names)
def test_commands_have_their_options(path):
    for line in commands(path):
        try:
            check_command(shlex.split(line, comments=True))
        except (click.ClickException, AssertionError) as error:
            pytest.fail(f"{line}: {error}")


def test_readme_is_a_map_with_the_two_commands_that_set_up():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    for target in ("make video", "make demo", "make test"):
        assert f"    {target} " in text
    assert (ROOT / "docs/images/moving.webp").stat().st_size < 1.5e6


def test_readme_makes_a_video_from_python(tmp_path, monkeypatch):
    (block,) = [block for block in python_blocks(README) if "load(" in block]
    shipped = "tests/data/carphone64.safetensors"
    monkeypatch.chdir(tmp_path)
    block = (
        block.replace(shipped, str(ROOT / shipped)).replace("frames=60", "frames=6").replace("frames=100", "frames=5")
    )
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert (tmp_path / "video.mp4").stat().st_size > 1000
    assert names["frame"].shape == (64, 64, 3) and len(names["slow"]) == 5


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "api.md"], ids=page_names)
def test_python_blocks_call_what_there_is(path):
    for block in python_blocks(path):
        names: dict[str, object] = {"stylegan_v_ext": stylegan_v_ext}
        tree = ast.parse(block)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        ours = [node for node in imports if getattr(node, "module", "").startswith("stylegan_v_ext")]
        exec(compile(ast.Module(ours, type_ignores=[]), page_names(path), "exec"), names)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            root = ast.unparse(call.func).partition(".")[0]
            if root in names:
                called = eval(ast.unparse(call.func), dict(names))
                keywords = {part.arg: None for part in call.keywords}
                inspect.signature(called).bind(*call.args, **keywords)


@pytest.mark.parametrize("path", [*PAGES[1:], *ROOT.glob("*.md"), ROOT / "benchmarks/README.md"], ids=page_names)
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert [path.name for path in PAGES[1:] if path.name != "README.md" and f"({path.name})" not in index] == []


def test_concepts_are_where_the_architecture_page_says():
    rows = re.findall(
        r"^\| .* \| (`stylegan_v_ext/.*`) \| (`.*`) \|$", LAYOUT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) >= 12
    for files, names in rows:
        for file, name in zip(re.findall(r"`(.*?)`", files), re.findall(r"`(.*?)`", names), strict=True):
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^ *(?:class|def) {name}\b", source, re.MULTILINE), (file, name)


def test_folders_hold_the_files_that_the_architecture_page_names():
    for folder, text in re.findall(r"^\| `(\w+/)` \| (.*) \|$", LAYOUT.read_text(encoding="utf-8"), re.MULTILINE):
        for name in re.findall(r"`(\w+/?)`", text):
            path = ROOT / "stylegan_v_ext" / folder / name
            assert path.is_dir() or path.with_suffix(".py").exists(), f"{folder}{name}"
