"""Options of a training: types, bounds, presets, and one source for command line, help and documentation."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stylegan_v_ext.cli.entry import Command, Group
from stylegan_v_ext.cli.grouping import Option, is_rare
from stylegan_v_ext.cli.settings import given_options, training_options
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.config import PRESETS, TrainOptions
from stylegan_v_ext.config.fields import GROUPS, option_name, setting_of
from stylegan_v_ext.config.kinds import kind_of
from stylegan_v_ext.config.table import table

ROOT = Path(__file__).parents[2]
FIELDS = dataclasses.fields(TrainOptions)


@click.command(cls=Command, context_settings={"show_default": True, "max_content_width": 110})
@training_options
@click.option("-n", "--dry-run", help="Stop at once", cls=Switch, group="Run")
@click.pass_context
def command(ctx, **values):
    """Print what was asked for."""
    click.echo(repr(given_options(ctx)))


def called(*words, **environment):
    result = CliRunner().invoke(command, words, env={"STYLEGAN_HOST": None, **environment})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_is_an_option_with_help_and_a_row_in_the_documentation(field):
    facts = setting_of(field)
    (option,) = [option for option in command.params if option.name == field.name]
    assert option.opts == [option_name(field), *(f"--{alias}" for alias in facts.aliases)]
    assert option.help.startswith(facts.help) and facts.help[0].isupper() and not facts.help.endswith(".")
    assert facts.group in GROUPS and isinstance(option, Option) and option.group == facts.group
    assert isinstance(option, Switch) == (kind_of(field.type).base is bool)
    (row,) = [line for line in table().splitlines() if f"`{option_name(field)}`" in line.split(" | ")[0]]
    assert facts.help.replace("|", "\\|") in row


def test_the_page_of_options_is_what_the_fields_say():
    assert (ROOT / "docs" / "options.md").read_text() == table(), "run python -m stylegan_v_ext.config.table"


def test_the_command_line_gives_what_the_user_chose_and_nothing_else():
    words = [
        "--data=a.zip",
        "--cfg=stylegan2",
        "--mirror",
        "--cond=0",
        "--metrics=a,b",
        "--kimg=5",
        "--allow-tf32",
        "-n",
    ]
    given = {
        "data": "a.zip", "cfg": "stylegan2", "mirror": True, "cond": False, "metrics": ["a", "b"], "kimg": 5.0,
        "tf32": True,
    }  # fmt: skip
    assert eval(called(*words)) == given
    assert eval(called("--data=a.zip", STYLEGAN_HOST="/h")) == {"data": "a.zip", "host": "/h"}
    options = TrainOptions(**given)
    assert options.metrics == ("a", "b") and options.clip_frames == 1 and options.chosen() == set(given) - {"cond"}


def test_defaults_of_the_command_line_are_those_of_the_fields():
    context = command.make_context("command", ["--data=a.zip"])
    for field in FIELDS:
        if not setting_of(field).needed and field.name != "metrics":
            assert context.params[field.name] == field.default, field.name
    assert context.params["metrics"] == [] and context.params["cfg"] is None


def test_help_shows_common_options_by_group_and_help_all_the_rare_ones_too():
    common, everything = called("--help"), called("--help-all")
    for text in (common, everything):
        places = [text.index(f"\n{heading}:\n") for heading in (*GROUPS, "Other options")]
        assert places == sorted(places) and "--help-all" in text
    for option in command.params:
        shown = f"{option.opts[-1]} " in common or f"{option.opts[-1]}\n" in common
        assert shown != is_rare(option), option.name
        assert f"{option.opts[-1]} " in everything or f"{option.opts[-1]}\n" in everything
    assert "[default: 3; 1 for stylegan2]" in " ".join(common.split())
    assert common.index("--dry-run") < common.index("\nMachine:\n")


def test_commands_without_groups_keep_their_help():
    for make, cls in ((click.command, Command), (click.group, Group)):

        @make(cls=cls)
        @click.option("--size", help="Size", type=int)
        def plain(size):
            """Do nothing."""

        text = CliRunner().invoke(plain, ["--help"]).output
        assert text.count("\nOptions:\n") == 1 and "--help-all" not in text and "Other options" not in text
        assert CliRunner().invoke(plain, ["--help-all"]).exit_code == 2


def test_groups_of_commands_have_rare_options_too():
    @click.group(cls=Group, invoke_without_command=True)
    @click.option("--depth", help="Depth", type=int, cls=Option, rare=True)
    def group(depth):
        """Do nothing."""

    group.add_command(command, name="train")
    common, everything = (CliRunner().invoke(group, [word]).output for word in ("--help", "--help-all"))
    assert "--depth" not in common and "--depth INTEGER" in everything
    assert all("\nCommands:\n  train" in text for text in (common, everything))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(batch=0), "--batch=0 is too small; use 1 or more"),
        (dict(batch_gpu=5000), "--batch-gpu=5000 is too large; use 4096 or less"),
        (dict(max_hours=0), "--max-hours=0 is too small; use more than 0"),
        (dict(gamma=float("nan")), "--gamma=nan is not a finite number"),
        (dict(kimg=float("inf")), "--kimg=inf is not a finite number"),
        (dict(cfg="stylegan3-t"), "--cfg=stylegan3-t is not one of stylegan-v, stylegan-v-cvpr"),
        (dict(augpipe="bgx"), "--augpipe=bgx is not one of blit, geom"),
        (dict(seed="3"), "--seed='3' cannot be used, expected a whole number"),
        (dict(batch=True), "--batch=True cannot be used, expected a whole number"),
        (dict(mirror=2), "--mirror=2 cannot be used, expected true or false"),
        (dict(metrics="fvd2048_16f"), "--metrics='fvd2048_16f' cannot be used, expected a list"),
        (
            dict(num_frames=1),
            "--num-frames=1 with --cfg=stylegan-v, which makes videos; use 2 frames or more, or --cfg=stylegan2",
        ),
        (dict(cfg="stylegan2", num_frames=3), "which makes single frames; leave --num-frames out"),
        (dict(num_frames=5, max_dist=3), "--max-dist=3 has no room for 5 frames; use --max-dist=4 or more"),
    ],
)
def test_values_that_cannot_be_are_named_with_bound_and_remedy(values, message):
    with pytest.raises(ValueError) as caught:
        TrainOptions(data="a.zip", **values)
    assert message in str(caught.value)


def test_values_from_python_may_be_paths_lists_and_whole_numbers():
    options = TrainOptions(data=Path("a.zip"), metrics=["a"], kimg=5, mirror=1, snap_state=float("inf"))
    assert (options.data, options.metrics, options.kimg) == ("a.zip", ("a",), 5) and options.mirror is True
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.kimg = 6
    with pytest.raises(TypeError):
        TrainOptions()


def test_presets_are_a_table_and_no_code_asks_for_their_names():
    """A preset is added by a row: names stand in the table, in examples and in advice, never in a condition."""
    names = {f'"{name}"' for name in PRESETS}
    for path in (ROOT / "stylegan_v_ext").rglob("*.py"):
        for line in path.read_text().splitlines():
            compares = any(f"{word} {name}" in line for name in names for word in ("==", "!=", "in"))
            assert not compares, f"{path}: {line}"
    assert all(preset.summary and preset.num_frames >= 1 for preset in PRESETS.values())
    assert {option.type.choices for option in command.params if option.name == "cfg"} == {tuple(PRESETS)}


def test_configuration_and_its_options_do_not_import_pytorch():
    program = "import sys, stylegan_v_ext.config, stylegan_v_ext.cli.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
