"""Types of options that all commands share: switches, paths, numbers, outputs, and the answer to a misspelt option."""

import itertools
import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stylegan_v_ext.cli.common import (
    OutputFile,
    OutputPath,
    PathText,
    files_to_replace,
    report_user_errors,
)
from stylegan_v_ext.cli.entry import Command, Group
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.cli.patches import main as patches
from stylegan_v_ext.cli.switches import Switch, YesNo, spelled_out

PATHS = {"PATH", "DIR", "FILE", "NPZ", "NPZ:N", "PKL", "PKL|DIR", "DIR|ID", "DIR|latest|PKL", "PNG"}


def commands(group=main, name="stylegan-v"):
    """(name, command) of every command, groups that do something included."""
    for key, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {key}")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{name} {key}", command


COMMANDS = dict(itertools.chain(commands(), commands(patches, "patches")))
SWITCHES = [
    (name, option.full_name)
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, Switch)
]
TRUE = ["1", "true", "True", "TRUE", "yes", "on", "t", "y"]
FALSE = ["0", "false", "False", "FALSE", "no", "off", "f", "n"]


def parsed(command, *words):
    """The values that a command gets, with what it needs besides these words."""
    needed = []
    for option in command.params:
        if option.required and isinstance(option, click.Argument):
            needed.append(f"x.{option.type.formats[0]}" if isinstance(option.type, OutputFile) else "x")
        elif option.required:
            needed.append(f"{option.opts[0]}={'8' if option.opts[0] == '--split' else 'x'}")
    return command.make_context("command", [*needed, *words]).params


def value_of(command, option, *words):
    (parameter,) = [parameter for parameter in command.params if option in parameter.opts]
    return parsed(command, *words)[parameter.name]


def test_every_boolean_option_is_a_switch():
    for name, command in COMMANDS.items():
        for option in command.params:
            assert not getattr(option, "is_flag", False) or isinstance(option, Switch), (name, option.name)
            assert not isinstance(option.type, click.types.BoolParamType), (name, option.name)
    assert len(SWITCHES) > 25


@pytest.mark.parametrize(("name", "option"), SWITCHES)
def test_switches_work_alone_and_with_every_spelling_of_a_value(name, option):
    command = COMMANDS[name]
    (parameter,) = [parameter for parameter in command.params if option in parameter.opts]
    assert value_of(command, option) is parameter.default
    for spelling in parameter.opts:
        assert value_of(command, option, spelling) is True
        assert value_of(command, option, spelling, spelling) is True
    assert value_of(command, option, option, f"{option}=0") is False, "the last one counts"
    for word in TRUE:
        assert value_of(command, option, f"{option}={word}") is True
    for word in FALSE:
        assert value_of(command, option, f"{option}={word}") is False
    if not any(isinstance(other, click.Argument) for other in command.params):
        assert all(value_of(command, option, option, word) is True for word in TRUE)
        assert all(value_of(command, option, option, word) is False for word in FALSE)
    for word in ("", "2", "maybe", "-1", "x"):
        with pytest.raises(click.BadParameter, match="neither true nor false"):
            value_of(command, option, f"{option}={word}")


def test_a_switch_leaves_what_follows_alone():
    train, convert = COMMANDS["stylegan-v train"], COMMANDS["stylegan-v data convert"]
    values = parsed(train, "--mirror", "--batch=4", "--cond", "true", "-n", "--desc", "--mirror", "--fp32", "off")
    assert (values["mirror"], values["batch"], values["cond"], values["dry_run"]) == (True, 4, True, True)
    assert (values["desc"], values["fp32"]) == ("--mirror", False)
    values = convert.make_context("convert", ["--labels", "1", "out.zip"]).params
    assert (values["labels"], values["src"], values["dest"]) == (True, "1", "out.zip")
    values = convert.make_context("convert", ["--", "--labels", "out.zip"]).params
    assert (values["labels"], values["src"]) == (False, "--labels")
    with pytest.raises(click.UsageError, match="unexpected extra argument"):
        train.make_context("train", ["--mirror", "data"])
    assert list(spelled_out(train.params, ["--desc"])) == ["--desc"]
    assert YesNo().convert(True, None, None) is True
    assert COMMANDS["stylegan-v train"].make_context("train", ["--allow-tf32"]).params["tf32"] is True


def test_every_path_option_expands_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = 0
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.metavar in PATHS:
                found += 1
                assert isinstance(option.type, PathText), (name, option.name)
                ending = f".{option.type.formats[0]}" if isinstance(option.type, OutputFile) else ""
                value = value_of(command, option.opts[0], f"{option.opts[0]}=~/x{ending}")
                assert (value[-1] if isinstance(value, tuple) else value) == f"{tmp_path}/x{ending}", name
    assert found > 30
    assert PathText().convert("s3://bucket/~/a.zip", None, None) == "s3://bucket/~/a.zip"
    assert PathText().convert("a~b", None, None) == "a~b"


def test_every_output_has_a_type_that_refuses_other_files():
    for name, command in COMMANDS.items():
        for option in command.params:
            if option.name in ("output", "outdir"):
                assert isinstance(option.type, OutputPath), name
                for ending in ("avi", "7z", "mp3", "tiff"):
                    with pytest.raises(click.BadParameter, match=f"ends in .{ending}; ") as error:
                        parsed(command, f"{option.opts[0]}=clip.{ending}")
                    assert ("for a folder" in error.value.message) != isinstance(option.type, OutputFile), name
                with pytest.raises(click.BadParameter, match="- means standard output|is no name of a file"):
                    parsed(command, f"{option.opts[0]}=-")
                if not isinstance(option.type, OutputFile):
                    with pytest.raises(
                        click.BadParameter, match="/dev/null is no folder, so nothing can be written in it"
                    ):
                        parsed(command, f"{option.opts[0]}=/dev/null/here")
                    assert parsed(command, f"{option.opts[0]}=run.v2")[option.name] == "run.v2"
                else:
                    with pytest.raises(click.BadParameter, match="is no name of a file; use one that ends in"):
                        parsed(command, f"{option.opts[0]}=run.v2")


def test_every_number_has_to_be_finite():
    tried = 0
    for command in COMMANDS.values():
        for option in command.params:
            if isinstance(option.type, (click.types.FloatParamType, click.FloatRange)):
                for number in ("nan", "inf", "-inf", "NaN"):
                    tried += 1
                    with pytest.raises(click.BadParameter, match="finite|range"):
                        parsed(command, f"{option.opts[-1]}={number}")
    assert tried > 60


@pytest.mark.parametrize("name", COMMANDS)
def test_a_misspelt_option_gets_a_suggestion(name):
    command = COMMANDS[name]
    assert isinstance(command, (Command, Group))
    for option in command.params:
        right = option.opts[0]
        if isinstance(option, click.Option) and len(right) > 5 and right[-1] != right[-2]:
            wrong = right[:-2] + right[-1] + right[-2]
            with pytest.raises(click.NoSuchOption) as error:
                command.make_context("command", [f"{wrong}=x"])
            assert right in error.value.possibilities


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cfg=paper256"], "--cfg=stylegan2 trains an image model and --cfg=stylegan-v videos"),
        (["--cfg=auto"], "sizes follow the resolution"),
        (["--cfg=stylegan3-r"], "no alias-free models"),
        (["--cfg=stylegan-v", "--resume=noresume"], "leave --resume out"),
        (["--cfg=stylegan-v", "--resume=ffhq256"], "give its file or URL"),
        (["--cfg=stylegan-v", "--gpus=0"], "x>=1"),
        (["--cfg=stylegan-v", "--tick=0"], "1e-09"),
        (["--cfg=stylegan-v", "--kimg=-1"], "-1"),
    ],
)
def test_names_of_other_repositories_and_bounds(options, message, tmp_path):
    result = CliRunner().invoke(main, ["train", "--data=none.zip", f"--outdir={tmp_path}/runs", *options])
    assert result.exit_code == 2 and message in result.output, result.output
    assert os.listdir(tmp_path) == []


def test_more_gpus_than_there_are(monkeypatch, tmp_path):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for words in (
        ["train", "--cfg=stylegan-v", "--data=x"],
        ["metrics", f"--fake={tmp_path}", "--metrics=motion256_4f"],
    ):
        result = CliRunner().invoke(main, [*words, "--gpus=8"])
        assert result.exit_code == 2 and "--gpus=8: this machine has 2; use --gpus=2 or less" in result.output


@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("", 2), ("maybe\nn\n", 2), ("maybe\n", 2)]
)
def test_files_are_replaced_in_a_terminal_after_a_yes_only(tmp_path, monkeypatch, answer, code):
    @click.command(cls=Command)
    def write():
        report_user_errors(lambda: outcome.append(files_to_replace([tmp_path / "a.mp4", tmp_path / "b.mp4"])))()

    (tmp_path / "a.mp4").write_text("mine")
    outcome = []
    runner = CliRunner()
    with runner.isolation(input=answer) as (_, err, _):
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        with pytest.raises(SystemExit) as end:
            write.main([], standalone_mode=True)
        shown = err.getvalue().decode()
    assert end.value.code == code and "a.mp4 exists already. Replace? [y/N]" in shown and "b.mp4" not in shown
    assert outcome == ([{tmp_path / "a.mp4"}] if code == 0 else [])
    if code:
        assert "nothing was written" in shown and "name another --output" in shown


def test_nobody_is_asked_without_a_terminal(tmp_path):
    (tmp_path / "a.mp4").write_text("mine")
    with CliRunner().isolation(input="n\n"):
        assert files_to_replace([tmp_path / "a.mp4", tmp_path / "b.mp4"]) == {tmp_path / "a.mp4"}
        assert files_to_replace([]) == files_to_replace([tmp_path / "b.mp4"]) == set()


def test_what_is_read_is_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_text("mine")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", f"{tmp_path}/a.mp4", "link.mp4"):
        with pytest.raises(ValueError, match="a.mp4 is read here, and would be replaced; name another --output"):
            files_to_replace([Path("b.mp4"), Path("a.mp4")], ask=False, inputs=[None, "gone.pkl", name])
    link = Path("link.mp4")
    assert files_to_replace([link], ask=False, inputs=["a.mp4"]) == {link}, (
        "a link is replaced, and what it points to stays"
    )
