"""A message about a network that names a remedy names one that works: each is followed here."""

import re
import shutil

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import load, save_snapshot
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator
from tests.checkpoints import stock
from tests.cli.test_bad_input import assert_one_line_error, run
from tests.conftest import SMALL_D, SMALL_G, SMALL_MOTION

SMALL = ["--batch=4", "--workers=0", "--kimg=0.004", "--device=cpu", "--aug=noaug"]
NEW = ["--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Snapshots: videos without classes (`video`) and with 2 (`classes`), images (`image`, and `narrow` of other
    channels, `short` of other latents), NaN (`nan`), and no discriminator that is read (`odd`).
    """
    folder = tmp_path_factory.mktemp("remedies")
    torch.manual_seed(0)

    def save(name, generator, discriminator=None):
        save_snapshot(folder / f"{name}.pkl", dict(G=generator, D=discriminator, G_ema=generator, augment_pipe=None,
                                                   training_set_kwargs={}))  # fmt: skip

    for name, classes in (("video", 0), ("classes", 2)):
        save(name, VideoGenerator(classes + 3, motion_kwargs=SMALL_MOTION, **SMALL_G),
             TimeConditionedDiscriminator(classes + 3, **SMALL_D))  # fmt: skip
    for name, change in (("image", {}), ("narrow", {"channel_base": 128}), ("short", {"w_dim": 24, "z_dim": 24})):
        save(name, VideoGenerator(1, num_frames=1, **{**SMALL_G, **change}))
    broken = VideoGenerator(3, motion_kwargs=SMALL_MOTION, **SMALL_G)
    torch.nn.init.constant_(broken.synthesis.b8.conv0.bias, float("nan"))
    save("nan", broken)
    video = VideoGenerator(3, motion_kwargs=SMALL_MOTION, **SMALL_G)
    save("odd", video, torch.nn.Linear(2, 2))
    return folder


@pytest.fixture(scope="module")
def sg3(files, golden):
    """A StyleGAN3 pickle."""
    v = golden("stylegan3_t_32")
    names = ("num_layers", "channel_base", "channel_max")
    kwargs = dict(img_resolution=32, img_channels=3, **{key: v.config[key] for key in names})
    return stock.write(files / "sg3.pkl", G_ema=stock.module_tree("Generator", v.state("G"), None, kwargs))


def refused(message, *words):
    """What a command prints that ends in one line with this in it."""
    code, output = run(*words)
    assert code == 2, output
    assert_one_line_error(output, message)
    return output


def works(*words):
    code, output = run(*words)
    assert code == 0, output
    return output


def train(*words):
    return ["train", "--cfg=stylegan-v", *SMALL, *words]


def generate(network, *words):
    return ["generate", f"--network={network}", "--seeds=0", "--frames=2", "--device=cpu", *words]


def snapshot(outdir):
    """The last snapshot of the only run there."""
    (run_dir,) = outdir.iterdir()
    return load(run_dir).path


def test_a_video_model_starts_from_an_image_model_as_the_message_says(files, sky_zip, tmp_path):
    output = refused("makes images, not videos", *generate(files / "image.pkl", f"--output={tmp_path}/a.mp4"))
    command = re.search(r"`train\.py (.*)`", output)[1].replace("CLIPS", sky_zip).split()
    works("train", *command, *SMALL, "--motion-z-dim=24", f"--outdir={tmp_path}/runs")
    works(*generate(snapshot(tmp_path / "runs"), f"--output={tmp_path}/a.mp4"))


def test_stylegan3_models_are_replaced_by_what_can_start(files, sg3, sky_zip, tmp_path):
    common = [f"--data={sky_zip}", f"--outdir={tmp_path}", "-n"]
    assert "--resume" not in refused("start a video model from a StyleGAN2 model", *generate(sg3))
    refused("start from a StyleGAN2 or StyleGAN-V model, or leave --resume out", *train(f"--resume={sg3}", *common))
    for name in ("image", "video"):
        works(*train(f"--resume={files}/{name}.pkl", *common))
    works(*train(*common))


def test_only_models_that_can_be_measured_are(files, sg3, sky_zip, tmp_path):
    works("checkpoint", "convert", files / "video.pkl", tmp_path / "moment.pkl", "--image")
    measure = ["metrics", f"--data={sky_zip}", "--metrics=motion2_16f", "--device=cpu"]
    refused("or give a StyleGAN2 or StyleGAN-V model", *measure, f"--network={sg3}")
    refused("give the model that it was made from", *measure, f"--network={tmp_path}/moment.pkl")
    refused("give a StyleGAN-V or StyleGAN2 model", "checkpoint", "convert", sg3, tmp_path / "a.pkl", "--image")
    works(*measure, f"--network={files}/video.pkl")
    works("checkpoint", "convert", files / "image.pkl", tmp_path / "a.pkl", "--image")


def test_a_moment_of_a_video_is_replaced_by_its_video_model(files, sky_zip, tmp_path):
    works("checkpoint", "convert", files / "video.pkl", tmp_path / "moment.pkl", "--image")
    refused("give the model that it was made from", *generate(tmp_path / "moment.pkl"))
    resume = [f"--data={sky_zip}", f"--outdir={tmp_path}/runs", "-n"]
    refused("start from the model it was made from", *train(f"--resume={tmp_path}/moment.pkl", *resume))
    works(*train(f"--resume={files}/video.pkl", *resume))
    works(*generate(files / "video.pkl", f"--output={tmp_path}/a.mp4"))


@pytest.mark.parametrize("given", [[], ["--class=9"]])
def test_classes_are_chosen_as_the_messages_say(files, tmp_path, given):
    for command in (generate(files / "classes.pkl", f"--output={tmp_path}/a.mp4"),
                    ["checkpoint", "convert", files / "classes.pkl", tmp_path / "a.pkl", "--image"]):  # fmt: skip
        output = refused("classes", *command, *given)
        last = re.search(r"(\d+)[^\d]*$", output)[1]
        works(*command, f"--class={last}")
    refused("no classes; leave --class out", *generate(files / "video.pkl", "--class=0"))


def test_networks_of_nan_are_used_with_the_option(files, tmp_path):
    command = generate(files / "nan.pkl", f"--output={tmp_path}/a.mp4")
    refused("or use it all the same with --allow-nan", *command)
    works(*command, "--allow-nan")


def test_a_discriminator_that_is_not_read_is_made_anew(files, sky_zip, tmp_path):
    output = works(*train(f"--data={sky_zip}", f"--outdir={tmp_path}", f"--resume={files}/odd.pkl"))
    assert "Discriminator: new" in output


def test_layers_that_do_not_fit_are_swapped_after_each_remedy(files, sky_zip, tmp_path):
    def swap(video, image, *words, name="a"):
        return ["swap", f"--video={video}", f"--image={files}/{image}.pkl", f"--output={tmp_path}/{name}.pkl", *words]

    video = files / "video.pkl"
    refused("Take other layers (--split=LOW-HIGH leaves them out), or train the video model from the image model",
            *swap(video, "narrow", "--split=8"))  # fmt: skip
    works(*swap(video, "narrow", "--split=4-8", name="range"))
    refused("start the video model from the image model (train.py --resume)", *swap(video, "short", "--split=8"))
    for name in ("narrow", "short"):
        works(*train(f"--data={sky_zip}", f"--outdir={tmp_path}/{name}", f"--resume={files}/{name}.pkl"))
        works(*swap(snapshot(tmp_path / name), name, "--split=4", name=name))
    refused("use a smaller split", *swap(video, "image", "--split=64"))
    works(*swap(video, "image", "--split=16"))
    refused("use --mapping=video", *swap(files / "classes.pkl", "image", "--split=8", "--mapping=image", name="b"))
    works(*swap(files / "classes.pkl", "image", "--split=8", "--mapping=video", name="b"))


def test_a_description_goes_with_its_tensors(files, tmp_path):
    works("checkpoint", "convert", files / "video.pkl", tmp_path / "a.safetensors")
    (tmp_path / "a.json").rename(tmp_path / "b.json")
    refused("needs its .json beside it", "checkpoint", "convert", tmp_path / "a.safetensors", tmp_path / "c.pkl")
    (tmp_path / "b.json").rename(tmp_path / "a.json")
    refused(
        "name another file or delete it first", "checkpoint", "convert", files / "video.pkl", tmp_path / "a.safetensors"
    )
    works("checkpoint", "convert", tmp_path / "a.safetensors", tmp_path / "c.pkl")


def test_runs_that_cannot_go_on_start_anew_from_their_snapshot(sky_zip, labelled_zip, tmp_path):
    runs = tmp_path / "runs"
    works(*train(f"--data={sky_zip}", f"--outdir={runs}", *NEW))
    (run_dir,) = runs.iterdir()
    remedy = "start a new run with --resume=SNAPSHOT"
    refused(remedy, "train", f"--resume={run_dir}", "--num-frames=2")
    others = [f"--data={labelled_zip}", "--cond=1", "--num-frames=2", "--gamma=5", f"--outdir={tmp_path}/others"]
    output = works(*train(f"--resume={load(run_dir).path}", *others))
    assert "mapping.embed starts anew: the model there has no classes, this training 2 classes" in output
    works("train", f"--resume={run_dir}", "--kimg=0.008")  # what was left out goes on
    refused("check --outdir", "train", "--resume=latest", f"--outdir={tmp_path}/none")
    works("train", "--resume=latest", f"--outdir={runs}", "--kimg=0.012")
    moved = tmp_path / "moved"
    shutil.copytree(run_dir, moved)
    (moved / "training-state-latest.pt").unlink()
    refused(remedy, "train", f"--resume={moved}")
    works(*train(f"--resume={load(moved).path}", f"--data={sky_zip}", f"--outdir={tmp_path}/anew", "-n"))


def test_files_that_are_not_there_are_replaced_by_those_of_the_message(files, tmp_path):
    refused("give a snapshot (.pkl) or the folder of a training run", *generate(tmp_path / "none.pkl"))
    refused("give the folder of a training run", *generate(tmp_path))
    shutil.copy(files / "video.pkl", tmp_path / "network-snapshot-000001.pkl")
    works(*generate(tmp_path, f"--output={tmp_path}/a.mp4"))
    works(*generate(files / "video.pkl", f"--output={tmp_path}/b.mp4"))


def test_directions_are_made_for_the_network_at_hand(files, tmp_path):
    make = ["directions", f"--network={files}/video.pkl", "--count=1", "--device=cpu"]
    works(*make, f"--output={tmp_path}/right.npz")
    with np.load(tmp_path / "right.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "wrong.npz", **{**arrays, "vectors": arrays["vectors"][:, :7]})
    use = generate(files / "video.pkl", f"--output={tmp_path}/a.mp4")
    refused("make directions of this network with `stylegan-v directions`", *use, f"--direction={tmp_path}/wrong.npz:0")
    refused("make it with `stylegan-v directions`", *use, f"--direction={tmp_path}/none.npz:0")
    works(*use, f"--direction={tmp_path}/right.npz:0")
