"""The call that tells everything about a GPU, rehearsed without one; parts that hang, crash or are cut short."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from benchmarks.gpu import profile
from benchmarks.gpu.comparison import Comparison
from benchmarks.gpu.findings import Findings, read
from benchmarks.gpu.parts.correct import result_of
from benchmarks.gpu.plan import LANES, NAMES, PARTS, ROOT, limit, rehearsal_limit
from benchmarks.gpu.report import Bar, Report
from benchmarks.gpu.supervisor import Outcome
from benchmarks.sides import Side

HEAD = {"made": "today", "version": "0", "device": "cpu", "rehearsal": False, "machine": {}}


def _command(out, *arguments):
    carry = out.parent / "nothing-carried"
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--rehearse", "--out", out, "--carry", carry]
    return [str(argument) for argument in (*command, *arguments)]


def _run(out, *arguments):
    done = subprocess.run(_command(out, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / "gpu.json").read_text())["parts"], done.stdout


def test_every_part_gets_its_share_of_the_time_and_at_most_its_limit():
    doctor, later = PARTS[0], list(PARTS[1:])
    total = sum(part.seconds for part in PARTS)
    assert limit(doctor, later, total * 2) == doctor.seconds
    assert limit(doctor, later, total / 2) == pytest.approx(doctor.seconds / 2)
    assert limit(PARTS[-1], [], 7.0) == 7.0
    assert sum(rehearsal_limit(part, list(PARTS), 50) for part in PARTS) == pytest.approx(1.5 * 50 * LANES)


def test_time_that_early_parts_leave_goes_to_later_ones():
    shares = [limit(part, list(PARTS[number + 1 :]), 300) for number, part in enumerate(PARTS)]
    assert all(later >= part.seconds / 2 for later, part in zip(shares[1:], PARTS[1:], strict=True))


def test_the_busy_time_of_overlapping_kernels_counts_once():
    assert profile.covered([(5, 6), (0, 2), (1, 3), (1.5, 2)]) == 4
    assert profile.covered([]) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("void at::native::elementwise_kernel<128, 2, Foo<float, Bar<1>>>(int, Foo)", "at::native::elementwise_kernel"),
        ("sm90_xmma_fprop_implicit_gemm_f16", "sm90_xmma_fprop_implicit_gemm_f16"),
        ("Memcpy HtoD (Pinned -> Device)", "Memcpy HtoD"),
        ("a|b", "a/b"),
        ("k" * 200, "k" * 89 + "…"),
    ],
)
def test_names_of_kernels_fit_a_table(name, expected):
    assert profile.short(name) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tests/a.py::test_x[cpu-a b] FAILED                [ 5%]", ("tests/a.py::test_x[cpu-a b]", "FAILED")),
        ("[gw1] [ 33%] PASSED tests/a.py::test_x[cuda-a b] ", ("tests/a.py::test_x[cuda-a b]", "PASSED")),
        ("FAILED tests/a.py::test_x - AssertionError: assert 1 == 2", None),
        ("collected 18 items / 2 deselected", None),
    ],
)
def test_results_are_read_from_lines_of_pytest(line, expected):
    assert result_of(line) == expected


def test_a_bar_says_met_missed_or_not_measured():
    bar = Bar("time", "step.ratio", at_most=0.5)
    assert bar.cells({"step": {"figures": {"ratio": 0.5}}}, rehearsal=False)[2:] == ["0.5", "met"]
    assert bar.cells({"step": {"figures": {"ratio": 0.51}}}, rehearsal=False)[2:] == ["0.51", "**missed**"]
    assert bar.cells({"step": {"figures": {}}}, rehearsal=False)[2:] == ["not measured", ""]
    assert bar.cells({}, rehearsal=False)[2:] == ["not measured", ""]
    assert bar.cells({"step": {"figures": {"ratio": 9.0}}}, rehearsal=True)[2:] == ["rehearsed", ""]
    least = Bar("share", "ops.share", at_least=0.8)
    assert least.cells({"ops": {"figures": {"share": 0.79}}}, rehearsal=False)[3] == "**missed**"


def test_findings_are_on_disk_after_every_line_and_go_on_after_an_error(tmp_path):
    found = Findings(tmp_path)
    found.row("Times", ["", "ms"], ["a", 1.5])
    assert read(tmp_path)["tables"][0]["rows"] == [["a", "1.5"]]
    with found.attempt("the second row"):
        raise RuntimeError("the device is gone\nwith details")
    with found.attempt("other people's code", needed=False):
        raise SystemExit("it does not run")
    found.figure("ratio", float("nan"))
    content = read(tmp_path)
    assert content["problems"] == ["the second row: RuntimeError: the device is gone (after 0 s)"]
    assert content["notes"] == ["other people's code: SystemExit: it does not run (after 0 s)"]
    assert content["figures"]["ratio"] == "nan"


def test_the_archive_keeps_logs_and_leaves_out_pictures_that_have_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.gpu.report._ARCHIVE_NBYTES", 1000)
    folder = tmp_path / "learn"
    folder.mkdir()
    (folder / "log.txt").write_text("first\nlast\n")
    for name, size in (("small.png", 600), ("large.png", 600)):
        (folder / name).write_bytes(b"x" * size)
    report = Report(tmp_path / "out", HEAD)
    report.add("learn", Outcome("ok", seconds=1.0, found={"pictures": ["small.png", "large.png"]}, folder=folder))
    with zipfile.ZipFile(tmp_path / "out" / "gpu-files.zip") as archive:
        assert archive.namelist() == ["learn.log", "learn-small.png"]
        assert archive.read("learn.log") == b"first\nlast\n"


def test_a_side_that_crashes_or_hangs_leaves_the_comparison_and_the_others_go_on(tmp_path):
    def maker(good_calls, then):
        return lambda: Side("tests.benchmarks.subjects:counted", good_calls, then)

    makers = {"ours": maker(9, "crash"), "crashes": maker(2, "crash"), "hangs": maker(2, "hang")}
    found = Findings(tmp_path)
    comparison = Comparison(makers, found, references={"hangs"}, warm_up=1)
    comparison.sides["hangs"].seconds = 2
    for _ in range(2):
        comparison.round(calls=1)
    assert len(comparison.times["ours"]) == 2
    assert set(comparison.medians()) == {"ours"} == set(comparison.peaks())
    comparison.close()
    assert [problem.partition(":")[0] for problem in found.content["problems"]] == ["crashes, round 2"]
    assert "hangs, round 2: SideEnded: a side of the comparison gave no answer in 2 s" in found.content["notes"][0]


def test_a_report_without_any_part_is_readable(tmp_path):
    Report(tmp_path, HEAD)
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert [part["verdict"] for part in content["parts"].values()] == ["not run"] * len(NAMES)
    assert "| doctor |" in (tmp_path / "gpu.md").read_text()


def test_every_part_runs_in_a_rehearsal(tmp_path):
    parts, printed = _run(tmp_path / "out", "--minutes=8")
    assert {name: (part["verdict"], part["reason"]) for name, part in parts.items()} == dict.fromkeys(NAMES, ("ok", ""))
    assert parts["correct"]["figures"]["failed"] == 0 < parts["correct"]["figures"]["passed"]
    assert parts["step"]["figures"]["over_stylegan2"] > 0
    assert parts["step"]["figures"]["largest_batch"] > 0
    assert parts["many"]["figures"]["gloo_error"] < 1e-5
    assert parts["learn"]["figures"]["sky_before"] > 0
    assert parts["data"]["figures"]["clips_per_second"] > 0
    assert sorted(line.split()[0] for line in printed.splitlines()[1:]) == sorted(NAMES)
    with zipfile.ZipFile(tmp_path / "out" / "gpu-files.zip") as archive:
        names = set(archive.namelist())
    assert {f"{name}.log" for name in NAMES} <= names
    assert {"learn-sky-reals.png", "learn-sky-fakes_init.png"} <= names
    text = (tmp_path / "out" / "gpu.md").read_text()
    assert "A rehearsal" in text and "**missed**" not in text
    assert sorted(os.listdir(tmp_path / "out")) == ["gpu-files.zip", "gpu.json", "gpu.md"]


def test_parts_that_hang_or_crash_do_not_stop_the_others(tmp_path):
    faults = "--fault", "ops=hang", "many=crash"
    parts, printed = _run(tmp_path / "out", "--only", "ops", "many", "data", *faults, "--minutes=0.5")
    assert parts["ops"]["verdict"] == "timed out"
    assert parts["many"]["verdict"] == "crashed" and "Aborted" in parts["many"]["reason"]
    assert parts["data"]["verdict"] == "ok" and parts["data"]["figures"]["clips_per_second"] > 0
    assert parts["doctor"]["verdict"] == "not run"
    with zipfile.ZipFile(tmp_path / "out" / "gpu-files.zip") as archive:
        assert b"work.py" in archive.read("ops.log")  # where it hung
    assert "ops       timed out" in printed


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.nightly)])
def test_an_end_in_the_middle_leaves_the_parts_before(tmp_path, number):
    out = tmp_path / "out"
    faults = "--fault", "many=hang"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        _command(out, "--only", "ops", "many", *faults, "--minutes=3"),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
    ) as process:
        for line in process.stdout:
            if line.startswith(b"ops"):
                break
        time.sleep(1)
        process.send_signal(number)
        process.communicate(timeout=60)
    parts = json.loads((out / "gpu.json").read_text())["parts"]
    assert parts["ops"]["verdict"] == "ok" and parts["ops"]["figures"]["copy_gb_per_second"] > 0
    if number == signal.SIGTERM:
        assert process.returncode == 128 + number
        assert parts["many"]["verdict"] == "interrupted"
        assert not list(tmp_path.glob("stylegan-v-gpu-*"))
    else:
        assert parts["many"]["verdict"] == "not run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cpu"], "add --rehearse"),
        (["--minutes", "0"], "--minutes 0 is out of bounds"),
        (["--only", "everything"], "invalid choice"),
        (["--out", "{file}"], "is a file; name a folder"),
    ],
)
def test_wrong_arguments_are_told_at_once(tmp_path, arguments, message):
    file = tmp_path / "file"
    file.touch()
    arguments = [argument.format(file=file) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and message in done.stderr
