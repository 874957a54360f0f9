"""Patches: what they edit, in memory and in files, and that nothing is left behind."""

import shutil

import pytest
from click.testing import CliRunner

from patches import all_patches, checkout_files, edited, needed_patches
from patches.patch import Edit, Patch
from stylegan_v_ext.cli.patches import main
from stylegan_v_ext.config import PRESETS
from tests.host.conftest import contents, run_python

BY_NAME = {patch.name: patch for patch in all_patches()}
EXAMPLES = [
    ("percentile", "metrics/ppl.py", "lo = np.percentile(dist, 1, interpolation='lower')",
     "lo = np.percentile(dist, 1, method='lower')"),
    ("sqrtm", "metrics/fid.py", "s, _ = scipy.linalg.sqrtm(np.dot(a, b), disp=False) # root",
     "s = scipy.linalg.sqrtm(np.dot(a, b)) # root"),
    ("fromarray", "training/loop.py", "PIL.Image.fromarray(img[:, :, 0], 'L').save(f)",
     "PIL.Image.fromarray(img[:, :, 0]).save(f)"),
    ("fromarray", "gen.py", 'Image.fromarray(x, "RGB")', "Image.fromarray(x)"),
    ("sampler", "torch_utils/misc.py", "        super().__init__(dataset)", "        super().__init__()"),
    ("pkg_resources", "torch_utils/ops/a.py", "from pkg_resources import parse_version",
     "from torch.torch_version import TorchVersion as parse_version"),
    ("betas", "train.py", "EasyDict(betas=[0,0.99], eps=1e-8)", "EasyDict(betas=[0.0,0.99], eps=1e-8)"),
    ("without_cuda", "training/loop.py", "device = torch.device('cuda', rank)", "device = torch.device('cpu')"),
    ("without_cuda", "gen.py", 'torch.device("cuda")', "torch.device('cpu')"),
    ("without_cuda", "metrics/u.py", "c = torch.from_numpy(x).pin_memory().to(device)",
     "c = torch.from_numpy(x).to(device)"),
    ("without_cuda", "training/loop.py", "DDP(module, device_ids=[device], broadcast_buffers=False)",
     "DDP(module, broadcast_buffers=False)"),
    ("without_cuda", "training/loop.py", "e = torch.cuda.Event(enable_timing=True)", "e = None"),
]  # fmt: skip


def test_a_written_patch_offers_every_video_model():
    offer = BY_NAME["command"].edits[-1].replace
    names = [name for name, preset in PRESETS.items() if not preset.makes_images]
    assert offer == r"\1" + "".join(f"'{name}', " for name in names)


@pytest.mark.parametrize(("name", "file", "before", "after"), EXAMPLES)
def test_an_edit_does_what_it_says_and_nothing_the_second_time(name, file, before, after):
    assert edited(file, before, [BY_NAME[name]]) == after
    assert edited(file, after, [BY_NAME[name]]) == after


def test_edits_stay_in_their_files():
    line = "from pkg_resources import parse_version"
    assert edited("training/a.py", line, all_patches()) == line


def test_versions_compare_as_with_pkg_resources():
    scope = {}
    exec(edited("torch_utils/a.py", "from pkg_resources import parse_version", [BY_NAME["pkg_resources"]]), scope)
    parse = scope["parse_version"]
    assert parse("1.12.0") >= parse("1.11.0a") and parse("2.13.0+cpu") >= parse("1.12") and parse("1.9") < parse("1.12")


def test_answers_are_read_as_with_distutils():
    scope = {}
    exec(edited("dnnlib/util.py", "from distutils.util import strtobool", [BY_NAME["distutils"]]), scope)
    answers = {"y": True, "Yes": True, "1": True, "n": False, "no": False, "0": False}
    assert {word: bool(scope["strtobool"](word)) for word in answers} == answers


def test_every_patch_says_what_it_is_for():
    for patch in all_patches():
        assert patch.symptom and patch.versions and patch.reason
        assert patch.edits or patch.replaced_by
        assert isinstance(patch.needed(), bool)
    assert {patch.name for patch in needed_patches()} <= set(BY_NAME)


def test_the_entry_line_stands_before_the_first_import_and_after_future_ones():
    text = '"""From here\nimport nothing."""\n\nfrom __future__ import annotations\nimport os\n'
    lines = edited("gen_images.py", text, [BY_NAME["command"]]).splitlines()
    assert lines.index("import os") == 1 + next(i for i, line in enumerate(lines) if "enter_script" in line)
    compile("\n".join(lines), "gen_images.py", "exec")


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_apply_and_revert_twice_each_leave_every_byte(small_host):
    (small_host / "training" / "loss.py").write_bytes(
        b"\xef\xbb\xbf" + (small_host / "training" / "loss.py").read_bytes().replace(b"\n", b"\r\n")
        + b"# torch.device('cuda')\r\n"
    )  # fmt: skip
    before = contents(small_host)
    shown = call("apply", small_host, "--yes")
    assert "betas=[0.0," in shown and "+from stylegan_v_ext import host" in shown
    patched = contents(small_host)
    assert patched["train.py"] != before["train.py"]
    if "without_cuda" in {patch.name for patch in needed_patches()}:
        assert patched["training/loss.py"] == before["training/loss.py"].replace(b"'cuda'", b"'cpu'")
    assert "nothing to write" in call("apply", small_host, "--yes")
    assert contents(small_host) == patched
    assert "restored" in call("revert", small_host)
    assert contents(small_host) == before
    assert "nothing to revert" in call("revert", small_host)
    assert contents(small_host) == before


@pytest.mark.parametrize(
    ("answer", "code"), [("n\n", 1), ("no\n", 1), ("\n", 1), ("", 2), ("what\n", 2), (KeyboardInterrupt, 2), ("y\n", 0)]
)
def test_apply_writes_after_a_yes_and_nothing_without(small_host, monkeypatch, answer, code):
    before = contents(small_host)
    if answer is KeyboardInterrupt:

        def interrupt(*prompt):
            raise KeyboardInterrupt

        monkeypatch.setattr("click.termui.visible_prompt_func", interrupt)
    result = CliRunner().invoke(main, ["apply", str(small_host)], input=answer if isinstance(answer, str) else "")
    assert result.exit_code == code, result.output
    if code == 0:
        assert "files patched" in result.output and contents(small_host) != before
        return
    assert contents(small_host) == before, "not a byte, and no folder of originals"
    assert "Write this to" in result.output and "files patched" not in result.output
    assert (
        "Nothing was written" if code == 1 else "nothing was written; --yes writes without a question"
    ) in result.output


def test_apply_with_yes_asks_nothing(small_host):
    for words in (["--yes"], ["-y"], ["--yes=1"]):
        result = CliRunner().invoke(main, ["apply", str(small_host), *words], input="n\n")
        assert result.exit_code == 0 and "Write this to" not in result.output
        assert "files patched" in result.output
        call("revert", small_host)
    before = contents(small_host)
    assert CliRunner().invoke(main, ["apply", str(small_host), "--yes=0"], input="").exit_code == 2
    assert contents(small_host) == before


def test_check_says_what_is_in_force(small_host):
    output = call("check", small_host)
    assert small_host.name in output
    assert "betas            needed      in memory when it is entered: train.py" in output
    assert "our torch_utils.ops.grid_sample_gradfix takes the place" in output
    call("apply", small_host, "--yes")
    assert "betas            needed      written to train.py" in call("check", small_host)
    assert "command          needed      written to gen_images.py, train.py" in call("check", small_host)


def test_list_names_every_patch():
    output = call("list")
    assert all(patch.name in output and patch.symptom in output for patch in all_patches())


def test_work_on_a_patched_file_is_never_overwritten(small_host):
    call("apply", small_host, "--yes")
    (small_host / "train.py").write_text("mine")
    for command in ("apply", "revert"):
        assert "was changed after it was patched" in call(command, small_host, code=2)
    assert (small_host / "train.py").read_text() == "mine"


def test_an_interrupted_apply_can_be_continued_or_reverted(small_host, tmp_path, monkeypatch):
    before = contents(small_host)
    for outcome in (["apply", "--yes"], ["revert"]):
        writes = []
        write = checkout_files._write

        def stop_half_way(path, data, writes=writes, write=write):
            if path.suffix == ".py" and ".stylegan_v_patches" not in str(path):
                writes.append(path)
                if len(writes) > 1:
                    raise KeyboardInterrupt
            write(path, data)

        patches = needed_patches()
        changes = checkout_files.plan(small_host, patches)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkout_files, "_write", stop_half_way)
            checkout_files.apply(small_host, changes, patches)
        call(*outcome, small_host)
        if outcome[0] == "apply":
            assert all(change.is_written for change in checkout_files.plan(small_host, patches))
            call("revert", small_host)
        assert contents(small_host) == before


def test_an_original_that_an_attempt_without_a_record_left_is_not_trusted(small_host):
    left = small_host / checkout_files.RECORD_DIR / "original" / "train.py"
    left.parent.mkdir(parents=True)
    left.write_text("of long ago")
    before = (small_host / "train.py").read_bytes()
    call("apply", small_host, "--yes")
    call("revert", small_host)
    assert (small_host / "train.py").read_bytes() == before


def test_new_versions_change_what_is_written(small_host):
    old = Patch("old", "e", "v", "r", lambda: True, (Edit("train.py", "Train images", "Train old images"),))
    new = Patch("new", "e", "v", "r", lambda: True, (Edit("train.py", "Train images", "Train new images"),))
    before = contents(small_host)
    for patch in (old, new):
        checkout_files.apply(small_host, checkout_files.plan(small_host, [patch]), [patch])
        assert f"Train {patch.name} images" in (small_host / "train.py").read_text()
    assert "written to train.py" in checkout_files.state(small_host, new)
    assert "written" not in checkout_files.state(small_host, old)
    checkout_files.revert(small_host)
    assert contents(small_host) == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"patches": 3}', '{"files": {"../x.py": "y"}}'])
def test_a_damaged_record_is_named(small_host, damage):
    call("apply", small_host, "--yes")
    (small_host / checkout_files.RECORD_DIR / "record.json").write_text(damage)
    assert "record.json" in call("revert", small_host, code=2)


def test_a_folder_that_is_no_checkout_is_refused_in_one_line(tmp_path):
    for command in ("check", "apply", "revert"):
        output = call(command, tmp_path, code=2)
        assert "is no checkout" in output and "training/training_loop.py" in output and len(output.splitlines()) == 1
        assert "is no folder" in call(command, tmp_path / "nowhere", code=2)


def test_a_patched_train_py_knows_our_models(small_host, sky_zip, tmp_path):
    call("apply", small_host, "--yes")
    stock = run_python("train.py", "--cfg=stylegan2", "--outdir=x", cwd=small_host)
    assert stock.returncode == 0, stock.stderr
    assert stock.stdout == "stylegan2 x [0.0, 0.99] 8\n"  # metrics: its own and ours of videos
    assert "stylegan-v-cvpr" in run_python("train.py", "--help", cwd=small_host).stdout
    options = [
        "--cfg=stylegan-v", f"--data={sky_zip}", f"--outdir={tmp_path / 'runs'}", "--batch=4", "--gamma=1",
        "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--workers=0", "--kimg=0.02",
    ]  # fmt: skip
    if small_host.name == "stylegan3":
        options.append("--gpus=2")  # the processes that it spawns run the script again, and are not to train by it
    ours = run_python("train.py", *options, cwd=small_host)
    assert ours.returncode == 0, ours.stderr
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert (run_dir / "network-snapshot-000000.pkl").exists()


def test_python_files_of_other_folders_are_left_alone(small_host):
    shutil.copytree(small_host / "training", small_host / "mine")
    files = checkout_files.python_files(small_host)
    assert "training/loss.py" in files and not any(file.startswith("mine") for file in files)
