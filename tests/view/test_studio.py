"""What the page shows for its controls."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.editing.text_directions import RelevanceMeter
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler
from stylegan_v_ext.view.studio import Controls, Studio

CPU = torch.device("cpu")


@pytest.fixture
def network(make_generator):
    return NetworkData.of(make_generator().requires_grad_(False))


@pytest.fixture
def studio(network):
    return Studio(network, CPU)


def same(a, b):
    return np.abs(a.astype(int) - b).max() <= 1


def test_the_first_frame_is_the_generators(studio):
    expected = next(iter(VideoSampler(studio.network.build(), CPU).frames(VideoName(3, 4), [7.5])))
    assert same(studio.frame(Controls(3, 4), 7.5), expected)


@pytest.mark.parametrize(
    "change",
    [dict(content_seed=1), dict(motion_seed=1), dict(truncation=0.5), dict(amplitude=2.5), dict(split=8)],
)
def test_every_knob_changes_the_picture(studio, change):
    torch.nn.init.normal_(studio.plain.generator.mapping.w_avg)
    assert not np.array_equal(studio.frame(Controls(**change), 9.0), studio.frame(Controls(), 9.0))


def test_the_layer_slider_goes_from_no_layer_to_all(studio):
    assert studio.splits == [0, 16, 8, 4]
    assert same(studio.frame(Controls(split=4, other_seed=5), 3), studio.frame(Controls(5, 0), 3)), "all styles"
    assert studio.plain.generator.img_resolution == studio.resolution


def test_layers_of_an_image_model_are_swapped_in(network, make_generator):
    image = make_generator(num_frames=1)
    with torch.no_grad():
        for parameter in image.synthesis.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    studio = Studio(network, CPU, NetworkData.of(image))
    frames = [studio.frame(Controls(split=split), 3) for split in studio.splits]
    assert all(not np.array_equal(a, b) for a, b in zip(frames, frames[1:], strict=False))


def test_text_edits_the_picture_and_an_empty_one_does_not(network, tmp_path_factory):
    pytest.importorskip("transformers")
    from stylegan_v_ext.editing.text_image import load_encoder
    from tests.editing.tiny_clip import write_tiny_clip

    encoder = load_encoder(str(write_tiny_clip(tmp_path_factory.mktemp("clip"))), CPU)
    studio = Studio(network, CPU, encoder=encoder)
    meter = RelevanceMeter(studio.plain, encoder, num_images=2)
    while not meter.done:
        meter.step()
    studio.relevance = meter.result()
    plain, edited = studio.frame(Controls(), 3), studio.frame(Controls(prompt="a sunset", strength=10), 3)
    assert not np.array_equal(plain, edited) and np.array_equal(studio.frame(Controls(prompt=" "), 3), plain)


def test_exports_have_names_of_their_own(studio, tmp_path):
    paths = {studio.export(Controls(1, 2), tmp_path, "npy", 0.4, 10, start=5, speed=0.5) for _ in range(3)}
    assert len(paths) == 3 and all(path.is_file() for path in paths)
    frames = np.load(paths.pop())
    expected = np.stack(list(VideoSampler(studio.plain.generator, CPU).frames(VideoName(1, 2), [5, 5.5, 6, 6.5])))
    assert frames.shape == (4, 16, 16, 3) and same(frames, expected)
