"""Projection, editing and layer swapping from Python: what the commands call."""

import contextlib

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import load as load_checkpoint
from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.editing import EditRequest, ProjectRequest, SwapRequest, edit, project, swap_layers
from stylegan_v_ext.editing.prompts import make_prompts
from stylegan_v_ext.generate import load, load_latents
from stylegan_v_ext.generate.request import RequestError
from stylegan_v_ext.listener import Listener

QUICK = ProjectRequest(steps=4, candidates=4, chunk=4, loss="pixels")


class Heard(Listener):
    """Keeps what it hears."""

    def __init__(self):
        self.lines, self.steps, self.files = [], {}, []

    def say(self, message):
        self.lines.append(message)

    note = say

    @contextlib.contextmanager
    def progress(self, label, total):
        def advance(steps, total=None):
            self.steps[label] = self.steps.get(label, 0) + steps

        yield advance

    def written(self, path):
        self.files.append(path.name)


@pytest.fixture(scope="module")
def clip(trained_path, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.npy"
    return load(trained_path, device="cpu").video(seed=5, frames=8).write(path)


def test_a_projection_says_what_it_does_and_returns_the_latents(trained_path, clip, tmp_path):
    heard = Heard()
    latents = project(trained_path, clip, output=tmp_path / "p", request=QUICK, device="cpu", listener=heard)
    written = load_latents(tmp_path / "p" / "projection.npz")
    assert latents.w.equal(written.w) and latents.motion.equal(written.motion) and len(latents.times) == 8
    assert heard.steps == {"projection": 4} and heard.files == ["projection.npz", "comparison.mp4", "loss.png"]
    assert heard.lines[0] == "8 frames of 64 px, loss: pixels and gradients" and "PSNR" in heard.lines[-1]
    with pytest.raises(ValueError, match="exists already"):
        project(trained_path, clip, output=tmp_path / "p", request=QUICK, device="cpu")


def test_an_edit_returns_what_it_made(trained_path, tmp_path):
    pytest.importorskip("transformers")
    from tests.editing.tiny_clip import write_tiny_clip

    request = EditRequest(model=str(write_tiny_clip(tmp_path / "clip")), steps=4, frames=2)
    (found,) = edit(trained_path, "a Sunset", seeds=[3], output=tmp_path / "out", request=request, device="cpu")
    assert found.path == tmp_path / "out" / "seed0003-a-sunset.mp4" and found.path.exists()
    assert found.after > found.before and found.latents is not None
    again = edit(trained_path, "a Sunset", seeds=[3], output=tmp_path / "out", request=request, device="cpu")
    assert again == [], "what was edited before is left as it is"
    with pytest.raises(RequestError, match="say which videos to edit"):
        edit(trained_path, "a sunset")
    with pytest.raises(ValueError, match="method=best is not one of"):
        EditRequest(method="best")


def test_prompts_of_a_file_have_their_own_settings(tmp_path):
    pytest.importorskip("yaml")
    (tmp_path / "p.yaml").write_text("- prompt: a sunset\n  name: Dusk 1\n  strength: 8\n- a storm\n")
    dusk, storm = make_prompts(None, tmp_path / "p.yaml", neutral="the sky")
    assert (dusk.name, dusk.strength, dusk.neutral) == ("dusk-1", 8.0, "the sky")
    assert (storm.text, storm.name, storm.strength) == ("a storm", "a-storm", 5.0)


@pytest.fixture
def models(make_generator, tmp_path):
    """Paths of a video model, and of an image model that other numbers are added to."""
    torch.manual_seed(1)
    for name, generator in (("video", make_generator()), ("image", make_generator(num_frames=1))):
        if name == "image":
            for parameter in generator.synthesis.parameters():
                torch.nn.init.normal_(parameter)
        content = dict(G=generator, D=None, G_ema=generator, augment_pipe=None, training_set_kwargs={})
        save_snapshot(tmp_path / f"{name}.pkl", content)
    return tmp_path / "video.pkl", tmp_path / "image.pkl"


def test_layers_are_swapped_from_file_to_file(models, tmp_path):
    video, image = models
    heard = Heard()
    request = SwapRequest(splits=["8"], preview=True, seeds=[0])
    result = swap_layers(video, [image], request=request, output=tmp_path / "new.pkl", device="cpu", listener=heard)
    assert heard.lines[0].endswith("layers 8 to 16 px") and (tmp_path / "new.mp4").exists()
    written = load_checkpoint(tmp_path / "new.pkl").network("G_ema")
    for name, tensor in result.network.state.items():
        assert torch.equal(written.state[name], tensor), name
    weights = [load_checkpoint(path).network("G_ema").state["synthesis.b16.conv1.weight"] for path in models]
    assert torch.equal(written.state["synthesis.b16.conv1.weight"], weights[1])
    frames = np.stack(list(load(tmp_path / "new.pkl", device="cpu").video(frames=2)))
    assert not np.array_equal(frames, np.stack(list(load(video, device="cpu").video(frames=2))))
    with pytest.raises(ValueError, match="exists already"):
        swap_layers(video, [image], request=request, output=tmp_path / "new.pkl")
    with pytest.raises(RequestError, match="2 times --split for 1 times --image"):
        swap_layers(video, [image], request=SwapRequest(splits=["8", "16"]), output=tmp_path / "other.pkl")
