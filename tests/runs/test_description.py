"""A run for people."""

import json

from stylegan_v_ext.config import DataFacts, TrainOptions, build_config, to_stock
from stylegan_v_ext.runs import describe


def config(**options):
    facts = DataFacts(path="/data/sky.zip", name="sky", resolution=64, num_videos=96)
    device = options.pop("device", "cpu")
    return build_config(TrainOptions(data="sky.zip", **options), facts, device=device, fast_bfloat16=True)


def rows(config, classes=""):
    text = "\n".join(describe(config, classes))
    return dict(line.split(":", 1) for line in text[text.rindex("}") + 1 :].strip().splitlines())


def test_the_document_of_a_run_is_shown_without_the_options_that_made_it():
    made = config(kimg=12)
    text = "\n".join(describe(made))
    assert text.startswith("Training options:\n{")
    shown = json.loads(text[text.index("{") : text.rindex("}") + 1])
    expected = to_stock(made)
    del expected["options"]
    assert shown == expected


def test_the_lines_below_say_what_matters():
    found = {name: value.strip() for name, value in rows(config(gamma=3, kimg=12), "2 (a 1, b 1)").items()}
    assert found == {
        "Data set": "/data/sky.zip", "Videos": "96", "Resolution": "64", "Classes": "2 (a 1, b 1)",
        "Frames a clip": "3", "Batch (clips)": "32", "Duration": "12 kimg (thousand clips)",
        "Precision": "bfloat16 and float32", "R1 gamma a frame": "3", "Augmentation": "adaptive, target 0.6",
    }  # fmt: skip
    assert rows(config(fp32=True))["Precision"].strip() == "float32"
    assert rows(config(device="cuda"))["Precision"].strip() == "float16 and float32"
    assert rows(config(aug="noaug"))["Augmentation"].strip() == "none"
    assert rows(config(aug="fixed", p=0.3))["Augmentation"].strip() == "p = 0.3"


def test_every_line_is_printable():
    facts = DataFacts(path="/data/\x1b[2J\n.zip", name="x", resolution=64)
    made = build_config(TrainOptions(data="x"), facts, device="cpu", fast_bfloat16=False)
    assert all(line.isprintable() for line in describe(made))
