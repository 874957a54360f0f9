"""A run that goes on has every tick once in its files, wherever it was killed."""

import json
import os
import random

from stylegan_v_ext.engine.board import Board
from stylegan_v_ext.engine.records import last_step, rewind


def stat(tick):
    return json.dumps({"Progress/tick": {"mean": tick}, "Progress/kimg": {"mean": tick * 0.29}, "loss": {"mean": 1.5}})


def figure(kimg):
    return json.dumps({"results": {"fvd": 1.0}, "snapshot_pkl": f"network-snapshot-{kimg:06d}.pkl"})


def test_ticks_after_the_state_and_half_lines_are_taken_out(tmp_path):
    chance = random.Random(1)
    for _ in range(200):
        ticks, kept = chance.randint(0, 12), chance.randint(0, 12)
        names = {
            "stats.jsonl": [stat(tick) for tick in range(1, ticks + 1)],
            "log.txt": ["Training"] + [f"tick {tick:<5d} kimg {tick}" for tick in range(1, ticks + 1)] + ["A note"],
            "metric-fvd.jsonl": [figure(tick) for tick in range(ticks + 1)],
            "metric-mine.jsonl": [figure(tick) for tick in range(ticks + 1)],
        }
        cut = {}
        for name, lines in names.items():
            content = "".join(f"{line}\n" for line in lines).encode()
            cut[name] = content[: len(content) - chance.choice([0, 0, 1, 3, chance.randint(0, len(content))])]
            (tmp_path / name).write_bytes(cut[name])
        rewind(tmp_path, kept, kept * 1000 + chance.randint(0, 999), ["fvd"])
        whole = {name: content.decode().split("\n") for name, content in cut.items()}
        found = {name: (tmp_path / name).read_text().splitlines() for name in names}
        valid = [line for line in whole["stats.jsonl"] if line in names["stats.jsonl"]]
        assert found["stats.jsonl"] == valid[:kept]
        figures = [line for line in whole["metric-fvd.jsonl"] if line in names["metric-fvd.jsonl"]]
        assert found["metric-fvd.jsonl"] == figures[: kept + 1]
        assert (tmp_path / "metric-mine.jsonl").read_bytes() == cut["metric-mine.jsonl"], "of no metric of the run"
        numbers = [int(line.split()[1]) for line in found["log.txt"] if line.startswith("tick ")]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) <= kept
        assert ("A note" in found["log.txt"]) == ("A note" in whole["log.txt"])
        assert last_step(tmp_path) == (round(len(valid[:kept]) * 290) if valid[:kept] else -1)
        assert all((tmp_path / name).read_bytes()[-1:] in (b"", b"\n") for name in names if name != "metric-mine.jsonl")


def test_lines_of_strangers_and_links_do_no_harm(tmp_path):
    lines = ["[" * 100_000, "{", '{"Progress/tick": "x"}', "[]", "null", "nan", stat(1), stat(10**30), "\x00", "é"]
    (tmp_path / "stats.jsonl").write_bytes("\n".join(lines).encode() + b"\xff\xfe\n")
    (tmp_path / "mine").write_text("tick 9 precious\n")
    (tmp_path / "log.txt").symlink_to("mine")
    rewind(tmp_path, 3, 3000, ["../../x", "fvd"])
    assert (tmp_path / "stats.jsonl").read_text().splitlines() == ['{"Progress/tick": "x"}', "[]", "null", stat(1)]
    assert (tmp_path / "mine").read_text() == "tick 9 precious\n"


def test_what_killed_writers_left_is_removed(tmp_path):
    for name in (".network-snapshot-000004.pkl-ab12.part", ".fakes000001.mp4-ab_c.part", ".training-state.pt-abc.part"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".mp4s-0a1b.part").mkdir()
    (tmp_path / "notes.part").write_text("mine")
    rewind(tmp_path, 0, 0, [])
    assert os.listdir(tmp_path) == ["notes.part"]


def test_tensorboard_shows_every_step_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = Board(tmp_path)
    for step in (10, 20, 30):
        first.add({"loss": step}, step)
    first.close()
    second = Board(tmp_path, first_step=11)
    for step in (20, 30, 40):
        second.add({"loss": step + 1}, step)
    second.close()
    found = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in found] == [(10, 10), (20, 21), (30, 31), (40, 41)]
