"""Run folders: their numbers, and the latest one."""

import os
from concurrent.futures import ThreadPoolExecutor

from stylegan_v_ext.engine.saved_state import STATE_NAME
from stylegan_v_ext.runs import latest_run, make_run_dir


def test_runs_that_begin_together_get_a_number_each(tmp_path):
    (tmp_path / "00007-before").mkdir()
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda number: make_run_dir(str(tmp_path), f"run{number % 2}"), range(24)))
    assert sorted(int(folder.name[:5]) for folder in folders) == list(range(8, 32))


def test_numbers_go_on_after_the_largest_and_other_names_do_not_count(tmp_path):
    for name in ("00003-a", "12", "x-7", "99999999999-long"):
        (tmp_path / name).mkdir()
    assert make_run_dir(tmp_path, "b").name == "00004-b"
    assert make_run_dir(tmp_path / "new" / "place", "a").name == "00000-a"


def test_the_latest_run_is_the_one_whose_state_was_written_last(tmp_path):
    assert latest_run(tmp_path) is None
    for number, name in enumerate(("00001-a", "00000-b", "00002-c")):
        folder = tmp_path / name
        folder.mkdir()
        if name != "00002-c":  # has not saved anything yet
            (folder / STATE_NAME).write_bytes(b"")
            os.utime(folder / STATE_NAME, (1000 + number, 1000 + number))
    assert latest_run(tmp_path) == tmp_path / "00000-b"
