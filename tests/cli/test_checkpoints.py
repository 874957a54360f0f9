"""`checkpoint inspect`, `checkpoint convert`, `swap` and `train --resume` from an image model, as a user calls them."""

import json
import re
import warnings

import pytest
import torch

from stylegan_v_ext.checkpoints import load, save_snapshot
from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.strip import unpack_strip
from tests.checkpoints import stock
from tests.cli.test_bad_input import assert_one_line_error, run
from tests.conftest import SMALL_D, SMALL_G, SMALL_MOTION, relative_error


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Snapshots: `image` and `tuned` (a relative), `video`, `classes` (video, 2 classes), `wide` (an image model)."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def save(name, generator, discriminator=None):
        content = dict(G=generator, D=discriminator, G_ema=generator, augment_pipe=None, training_set_kwargs={"a": 1})
        save_snapshot(folder / f"{name}.pkl", content)

    torch.manual_seed(0)
    image = VideoGenerator(1, num_frames=1, use_noise=True, **{**SMALL_G, "mapping_kwargs": {"num_layers": 3}})
    save("image", image, TimeConditionedDiscriminator(1, num_frames=1, **SMALL_D))
    with torch.no_grad():
        for parameter in image.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save("tuned", image)
    save("wide", VideoGenerator(1, num_frames=1, **{**SMALL_G, "channel_max": 12}))
    for name, classes in (("video", 0), ("classes", 2)):
        generator = VideoGenerator(classes + 3, motion_kwargs=SMALL_MOTION, **SMALL_G)
        save(name, generator, TimeConditionedDiscriminator(classes + 3, **SMALL_D))
    return folder


# inspect


def test_inspect_tells_what_is_in_a_snapshot_without_memory_for_weights(files, monkeypatch):
    def randn(*args, **kwargs):
        assert torch.get_default_device().type == "meta", "weights were drawn"
        return original(*args, **kwargs)

    original = torch.randn
    with torch.device("meta"):  # in its first such block PyTorch remembers its functions: not the one below
        torch.empty(0)
    monkeypatch.setattr(torch, "randn", randn)
    code, output = run("checkpoint", "inspect", files / "classes.pkl")
    assert code == 0, output
    for text in ("stylegan_v_ext snapshot", "VideoGenerator", "16 px, 3 channels", "2 classes, 3 frames a clip",
                 "base 256, at most 16", "z 32, w 32, 2 mapping layers", "anchors every 16 frames",
                 "known: this version's stylegan_v_ext/networks/generator.py", "a=1"):  # fmt: skip
        assert text in output, text
    network = load(files / "classes.pkl").network("G_ema")
    monkeypatch.undo()
    counted = sum(p.numel() for p in network.build().parameters())
    assert network.num_parameters == counted and f"{counted:,} parameters" in output


def test_inspect_tells_what_cannot_be_used(golden, tmp_path):
    state = golden("stylegan2_32").state("G")
    odd = stock.module_tree("Generator", state, {"synthesis.b8.conv1": {"activation": "swish"}})
    pipe = stock.Persistent("AugmentPipe")
    path = stock.write(tmp_path / "a.pkl", G_ema=odd, D=stock.Persistent("Strange"), augment_pipe=pipe)
    code, output = run("checkpoint", "inspect", path)
    assert code == 0 and "StyleGAN2 (PyTorch)" in output
    assert "Generator: cannot be used" in output and "activation 'swish'" in output
    assert "Strange: cannot be used" in output and "augment_pipe (AugmentPipe), kept as data" in output
    assert "not one of this version's" in output and "not run" in output


def test_odd_arguments_end_in_one_line(tmp_path):
    good = dict(c_dim=3, img_resolution=16, img_channels=3)
    cases = [{"c_dim": "3"}, {"mapping_kwargs": 5}, {"motion_kwargs": [1]}, {"nonsense": 1}, {"num_frames": 1.5},
             {"motion_kwargs": {"min_period": "x"}}]  # fmt: skip
    for number, odd in enumerate(cases):
        network = stock.Persistent("VideoGenerator", _init_kwargs={**good, **odd})
        path = stock.write(tmp_path / f"{number}.pkl", G_ema=network)
        code, output = run("checkpoint", "inspect", path)
        assert code == 0 and "VideoGenerator" in output, odd
        for options in ([], ["--image"]):
            code, output = run("checkpoint", "convert", path, tmp_path / "out.pkl", *options)
            assert code == 2, (odd, options)
            assert len([line for line in output.splitlines() if line.startswith("Error:")]) == 1
    missing = stock.write(tmp_path / "m.pkl", G_ema=stock.Persistent("VideoGenerator"))
    code, output = run("checkpoint", "inspect", missing)
    assert code == 0 and "odd arguments (missing a required argument" in output


def test_tensors_that_do_not_fit_end_in_one_line(files, tmp_path, golden):
    state = dict(golden("stylegan2_32").state("G"))
    state["synthesis.b8.torgb.bias"] = torch.zeros(7)
    path = stock.write(tmp_path / "a.pkl", G_ema=stock.module_tree("Generator", state))
    target = tmp_path / "b.pkl"
    for command in (
        ["checkpoint", "convert", path, target], ["checkpoint", "convert", path, target, "--image"],
        ["swap", f"--video={files}/video.pkl", f"--image={path}", "--split=8", f"--output={target}"],
    ):  # fmt: skip
        code, output = run(*command)
        assert code == 2
        assert_one_line_error(output, "does not fit its class here")
    assert not (tmp_path / "b.pkl").exists()


# convert


@pytest.mark.parametrize("ending", ["pkl", "safetensors"])
def test_convert_keeps_every_bit(files, tmp_path, ending):
    target = tmp_path / f"out.{ending}"
    code, output = run("checkpoint", "convert", files / "video.pkl", target)
    assert code == 0 and "stylegan_v_ext snapshot" in output, output
    before, after = load(files / "video.pkl"), load(target)
    for key in ("G", "D", "G_ema"):
        ours, theirs = before.network(key).state, after.network(key).state
        assert set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert after.training_set_kwargs == {"a": 1}


def test_convert_to_an_image_of_a_moment(files, tmp_path):
    options = ["--image", "--time=99.5", "--motion-seed=3", "--class=1"]
    code, output = run("checkpoint", "convert", files / "classes.pkl", tmp_path / "image.pkl", *options)
    assert code == 0, output
    image, video = load(tmp_path / "image.pkl").build_generator(), load(files / "classes.pkl").build_generator()
    z, c = torch.randn(2, 32), torch.eye(2)[[1, 1]]
    frame = video(z, c, t=torch.full([2, 1], 99.5, dtype=torch.float64), motion_seeds=[3, 3])
    assert torch.equal(image(z, c), frame)


def test_convert_refuses_bad_targets_and_sources(files, tmp_path):
    (tmp_path / "there.pkl").write_bytes(b"precious")
    (tmp_path / "half.json").write_text("precious")
    cases = [
        (files / "video.pkl", tmp_path / "there.pkl", [], "exists already"),
        (files / "video.pkl", tmp_path / "half.safetensors", [], "half.json exists already"),
        (files / "video.pkl", tmp_path / "a.txt", [], "use .pkl or .safetensors"),
        (files / "video.pkl", tmp_path / "a.safetensors", ["--image"], "use .pkl"),
        (files / "video.pkl", tmp_path / "a.pkl", ["--image", "--class=1"], "no classes; leave --class out"),
        (files / "video.pkl", tmp_path / "a.pkl", ["--time=3"], "add --image or leave them out"),
        (files / "classes.pkl", tmp_path / "a.pkl", ["--image"], "choose one with --class=0 ... --class=1"),
        (files / "none.pkl", tmp_path / "a.pkl", [], "does not exist"),
    ]  # fmt: skip
    for source, target, options, message in cases:
        code, output = run("checkpoint", "convert", source, target, *options)
        assert code == 2
        assert_one_line_error(output, message)
    code, output = run("checkpoint", "convert", files / "video.pkl", tmp_path / "a.pkl", "--image", "--time=nan")
    assert code == 2 and "is not a finite number" in output
    assert (tmp_path / "there.pkl").read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.json", "there.pkl"]


def test_a_discriminator_that_cannot_be_used_is_left_out_with_a_note(golden, tmp_path):
    v = golden("stylegan2_32")
    path = stock.write(tmp_path / "a.pkl", G_ema=stock.module_tree("G", v.state("G")), D=stock.Persistent("Strange"))
    code, output = run("checkpoint", "convert", path, tmp_path / "b.pkl")
    assert code == 0 and "no discriminator in the new file" in output and "Strange" in output
    assert "D" not in load(tmp_path / "b.pkl").readers


# swap


def test_swap_writes_a_snapshot_a_preview_and_a_table(files, tmp_path):
    target = tmp_path / "new.pkl"
    code, output = run("swap", f"--video={files}/video.pkl", f"--image={files}/image.pkl", "--split=16", "--preview",
                       "--seeds=0,3", f"--output={target}")  # fmt: skip
    assert code == 0, output
    assert re.search(r"b16\.conv1 +1\.00 +1\.\d+", output) and re.search(r"b8\.conv1 +0\.00", output)
    assert "share no ancestor" in output and "noise inputs of the image model are left out" in output
    state, video, image = (load(path).network("G_ema").state for path in
                           (target, files / "video.pkl", files / "image.pkl"))  # fmt: skip
    assert torch.equal(state["synthesis.b16.conv0.weight"], image["synthesis.b16.conv0.weight"])
    assert torch.equal(state["synthesis.b8.conv0.weight"], video["synthesis.b8.conv0.weight"])
    assert load(target).build("D") is not None and load(target).training_set_kwargs == {"a": 1}
    frames = list(VideoReader(str(target.with_suffix(".mp4"))))
    assert len(frames) == 64


def test_swap_of_conditional_models_needs_a_class_for_the_preview(files, tmp_path):
    common = ["swap", f"--video={files}/classes.pkl", f"--image={files}/image.pkl", "--split=8", "--preview"]
    code, output = run(*common, f"--output={tmp_path}/a.pkl")
    assert code == 2
    assert_one_line_error(output, "has 2 classes; choose one with --class=0 ... --class=1")
    code, output = run(*common, f"--output={tmp_path}/a.pkl", "--class=1", "--seeds=0")
    assert code == 0, output


def test_swap_takes_several_image_models_by_order(files, tmp_path):
    code, output = run("swap", f"--video={files}/video.pkl", f"--image={files}/image.pkl", "--split=8-8",
                       f"--image={files}/tuned.pkl", "--split=16", f"--output={tmp_path}/a.pkl")  # fmt: skip
    assert code == 0, output
    state = load(tmp_path / "a.pkl").network("G_ema").state
    for name, source in (("synthesis.b8.conv0.weight", "image"), ("synthesis.b16.conv0.weight", "tuned")):
        assert torch.equal(state[name], load(files / f"{source}.pkl").network("G_ema").state[name])


def test_swap_says_what_is_wrong_in_one_line_and_writes_nothing(files, tmp_path):
    good = {"video": "video.pkl", "image": "image.pkl", "split": "16"}
    cases = [
        ({"video": "image.pkl"}, [], "makes no videos"),
        ({"image": "video.pkl"}, [], "is no StyleGAN2 image generator"),
        ({"image": "wide.pkl"}, [], "tensors do not fit, the first: synthesis.b16"),
        ({"split": "12"}, [], "not a power of two"),
        ({"split": "32"}, [], "ends at 16 px"), ({"split": "x"}, [], "neither a resolution"),
        ({"split": "16-8"}, [], "are none"), ({"split": "4"}, ["--take=coarse"], "use a split from 8 on"),
        ({}, ["--take=fine", "--take=fine"], "2 times --take"),
        ({}, ["--output=a.mp4"], "use .pkl"),
    ]  # fmt: skip
    for change, extra, message in cases:
        options = {**good, **change}
        arguments = [f"--video={files / options['video']}", f"--image={files / options['image']}"]
        code, output = run("swap", *arguments, f"--split={options['split']}", f"--output={tmp_path}/a.pkl", *extra)
        assert code == 2, (change, extra)
        assert_one_line_error(output, message)
        assert not list(tmp_path.iterdir())


# train --resume


def resume(files, sky_zip, outdir, *options, source="image.pkl"):
    return run("train", "--cfg=stylegan-v", f"--data={sky_zip}", f"--outdir={outdir}", "--batch=4", "--motion-z-dim=16",
               "--workers=0", "--kimg=0.004", f"--resume={files / source}", *options)  # fmt: skip


def test_an_image_model_starts_a_video_model_of_its_images(files, sky_zip, tmp_path):
    code, output = resume(files, sky_zip, tmp_path, "--glr=0", "--dlr=0", "--aug=noaug")
    assert code == 0, output
    assert "motion channels start at zero" in output and "Discriminator:" in output
    assert re.search(r"b16 +\d+ copied, 2 new, \d+ not copied", output)
    (run_dir,) = tmp_path.iterdir()
    assert "motion channels start at zero" in (run_dir / "log.txt").read_text()
    kwargs = json.loads((run_dir / "training_options.json").read_text())["G_kwargs"]
    assert kwargs["mapping_kwargs"]["num_layers"] == 3 and kwargs["z_dim"] == 32 and kwargs["channel_max"] == 16
    assert kwargs["use_noise"]
    image = load(files / "image.pkl").build_generator()
    z, t = torch.randn(3, 32), torch.tensor([[0.0, 17.5, 900.0]]).expand(3, -1)
    for key in ("G", "G_ema"):
        frames = unpack_strip(load(run_dir).build(key)(z, None, t=t, noise_mode="const"))
        for frame in range(3):
            assert relative_error(frames[:, frame], image(z, None, noise_mode="const")) < 1e-4
    theirs, ours = load(files / "image.pkl").network("D").state, load(run_dir).network("D").state
    assert torch.equal(ours["b16.conv0.weight"], theirs["b16.conv0.weight"])
    assert torch.equal(ours["b8.conv1.weight"], theirs["b8.conv1.weight"])


def test_options_that_are_given_win_over_the_image_model(files, sky_zip, tmp_path):
    code, output = resume(files, sky_zip, tmp_path, "--map-depth=2", "--cmax=8")
    assert code == 0, output
    assert re.search(r"synthesis\.b8 .* not copied, .* is \[16, 16, 3, 3\] there, \[8, 8, 3, 3\] here", output)
    (run_dir,) = tmp_path.iterdir()
    kwargs = load(run_dir).network("G").kwargs
    assert kwargs["mapping_kwargs"]["num_layers"] == 2 and kwargs["channel_max"] == 8 and kwargs["channel_base"] == 256


def test_sizes_follow_a_video_model_too(files, sky_zip, tmp_path):
    code, output = run("train", "--cfg=stylegan-v", f"--data={sky_zip}", f"--outdir={tmp_path}", "--batch=4",
                       "--workers=0", "--kimg=0.004", "--glr=0", f"--resume={files}/video.pkl")  # fmt: skip
    assert code == 0, output
    (run_dir,) = tmp_path.iterdir()
    before, after = load(files / "video.pkl").network("G").state, load(run_dir).network("G").state
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if "w_avg" not in name)


def test_a_video_model_of_other_classes_begins_with_what_fits(files, sky_zip, labelled_zip, tmp_path):
    cases = [("classes", sky_zip, [], "the model there has 2 classes, this training no classes"),
             ("video", labelled_zip, ["--cond=1"], "mapping.embed starts anew: the model there has no")]  # fmt: skip
    for number, (name, data, options, message) in enumerate(cases):
        code, output = run("train", "--cfg=stylegan-v", f"--data={data}", f"--outdir={tmp_path}/{number}", "--batch=4",
                           "--workers=0", "--kimg=0.004", f"--resume={files}/{name}.pkl", *options)  # fmt: skip
        assert code == 0 and message in output and "tick 1" in output, output
        (run_dir,) = (tmp_path / str(number)).iterdir()
        assert load(run_dir).network("G").num_classes == 2 * len(options)


def test_an_exported_image_starts_a_video_model(files, sky_zip, tmp_path):
    code, output = run("checkpoint", "convert", files / "image.pkl", tmp_path / "image.pkl", "--image")
    assert code == 0, output
    code, output = resume(tmp_path, sky_zip, tmp_path / "runs")
    assert code == 0 and "motion channels start at zero" in output


@pytest.mark.parametrize("kind", ["stylegan2", "rosinality", "tensorflow"])
def test_any_importable_image_model_starts_a_video_model(golden, tmp_path, kind):
    import pickle

    from stylegan_v_ext.data.synthetic import write_demo_dataset

    v = golden("stylegan2_32")
    path = tmp_path / ("image.pt" if kind == "rosinality" else "image.pkl")
    if kind == "stylegan2":
        stock.write(path, G_ema=stock.module_tree("Generator", v.state("G")), D=stock.module_tree("D", v.state("D")))
    elif kind == "rosinality":
        torch.save({"g_ema": stock.rosinality_generator(v.state("G")), "latent_avg": torch.zeros(64)}, path)
    else:
        with stock.tensorflow_network() as Network:
            G, D = (make(Network, v.state(key)) for make, key in
                    ((stock.tensorflow_generator, "G"), (stock.tensorflow_discriminator, "D")))  # fmt: skip
            path.write_bytes(pickle.dumps((G, D, G)))
    write_demo_dataset(str(tmp_path / "sky.zip"), resolution=32, num_videos=2, num_frames=40)
    code, output = resume(tmp_path, tmp_path / "sky.zip", tmp_path / "runs", "--glr=0", source=path.name)
    assert code == 0, output
    (run_dir,) = (tmp_path / "runs").iterdir()
    t = torch.tensor([[3.0]]).expand(len(v["z"]), -1)
    frame = load(run_dir).build_generator()(v["z"], None, t=t, noise_mode="const")
    assert relative_error(frame, v["img_const"]) < 1e-4
    assert ("holds no D" in output) == (kind == "rosinality")


def test_a_stylegan3_model_starts_no_training_and_makes_no_videos(sky_zip, tmp_path, golden):
    sg3 = golden("stylegan3_t_32")
    names = ("num_layers", "channel_base", "channel_max")
    kwargs = dict(img_resolution=32, img_channels=3, **{key: sg3.config[key] for key in names})
    stock.write(tmp_path / "sg3.pkl", G_ema=stock.module_tree("Generator", sg3.state("G"), None, kwargs))
    code, output = resume(tmp_path, sky_zip, tmp_path / "runs", source="sg3.pkl")
    assert code == 2
    assert_one_line_error(output, "start from a StyleGAN2 or StyleGAN-V model, or leave --resume out")
    assert not list((tmp_path / "runs").glob("*"))
    code, output = run("generate", f"--network={tmp_path}/sg3.pkl", "--seeds=0", f"--output={tmp_path}/out")
    assert code == 2 and "--resume" not in output and not (tmp_path / "out").exists()
    assert_one_line_error(output, "a StyleGAN3 model, which cannot start a video model either")


def test_generating_from_an_image_model_says_what_to_do(files):
    with warnings.catch_warnings():
        code, output = run("generate", f"--network={files}/image.pkl", "--seeds=0")
    assert code == 2
    assert_one_line_error(output, "start a video model from it with `train.py --cfg=stylegan-v --data=CLIPS --resume=")
