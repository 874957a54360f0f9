"""Training steps and generation on a device without numbers, in place of a GPU: nothing in them waits for it.

Meta tensors have shapes and types alone. What would read a number, copy from pageable memory in step, or mix
devices or types is an error, at the line that does it.
"""

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.engine import Trainer, build
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.tracks import Scene, still
from stylegan_v_ext.networks import discriminator_blocks, precision, synthesis
from tests.engine.small_runs import config_for
from torch_utils import custom_ops
from torch_utils.ops import bias_act_cuda, filtered_lrelu, upfirdn2d

DEVICE = torch.device("meta")
READING = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "_unique2", "unique_dim")
MULTIPLYING = ("convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm")
KERNELS = {
    "upfirdn2d": upfirdn2d._kernel,
    "bias_act": bias_act_cuda._kernel,
    "bias_act_grad": bias_act_cuda._gradient_kernel,
    "bias_act_grad_sums": bias_act_cuda._summing_kernel,
    "bias_act_curve": bias_act_cuda._curve_kernel,
    "filtered_lrelu": filtered_lrelu._kernel,
    "filtered_lrelu_masked": filtered_lrelu._masked_kernel,
}


class Watched(TorchDispatchMode):
    """Raises `AssertionError` for what waits for the device, or for tensors that do not go together.

    The project's own operators prepare their launches as they do on CUDA.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.name().split("::")[1].split(".")[0]
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        there = [x for x in tensors if x.device == DEVICE]
        if name in ("_to_copy", "copy_"):
            _check_copy(func, name, tensors, args, kwargs)
        elif there:
            assert name not in READING, f"{func} waits for the device"
            masks = name.startswith("index") and any(x.dtype == torch.bool for x in tensors[1:])
            assert not masks, f"{func} with a mask waits for the device"
            here = [list(x.shape) for x in tensors if x.device != DEVICE and x.ndim > 0]
            assert not here, f"{func} of tensors on the device and of {here} on the CPU"
            types = {x.dtype for x in tensors}
            assert name not in MULTIPLYING or len(types) == 1, f"{func} of {types}"
        if func.namespace == "stylegan_v_ext":
            return KERNELS[name](*args, **kwargs)
        result = func(*args, **kwargs)
        if there and name in ("convolution", "convolution_backward"):
            images, weight = tensors[:2] if name == "convolution" else tensors[1:3]
            return _as_cudnn_does(result, images, weight)
        return result


def _check_copy(func, name, tensors, args, kwargs):
    source, target = tensors[-1].device, tensors[0].device if name == "copy_" else kwargs.get("device")
    if target is None or source.type == torch.device(target).type:
        return
    assert source.type == "cpu", f"{func} to the CPU waits for the device"
    in_step = kwargs.get("non_blocking") or (name == "copy_" and args[2:] == (True,))
    assert in_step or tensors[-1].numel() == 0, f"{func} of {list(tensors[-1].shape)} waits for the device"


def _as_cudnn_does(result, *operands):
    """Give a convolution's result channels last if an operand has them last; meta kernels forget that."""
    last = any(
        x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous() for x in operands
    )

    def laid_out(x):
        return x.to(memory_format=torch.channels_last) if last and x is not None and x.ndim == 4 else x

    return laid_out(result) if isinstance(result, torch.Tensor) else tuple(map(laid_out, result))


@pytest.fixture(scope="module")
def sky32(tmp_path_factory):
    path = tmp_path_factory.mktemp("sky") / "sky.zip"
    write_demo_dataset(str(path), resolution=32, num_videos=4, num_frames=40)
    return str(path)


@pytest.fixture
def launches(request, monkeypatch):
    """Variants of kernels that were launched, on the device that stands in for a GPU. Parameter: whether there are."""
    launched = []

    def kernel(variant, device, shared_nbytes=0):
        def launch(params, blocks, threads, device, shared_nbytes=0):
            assert 0 < blocks < 2**31 and threads == 256
            launched.append(variant)

        return launch

    def dtype(device, *args, **kwargs):
        return precision.working_dtype(torch.device("cuda" if device == DEVICE else device), *args, **kwargs)

    def wanted(x):
        return request.param and x.device == DEVICE and x.dtype in custom_ops.SCALARS

    monkeypatch.setattr(custom_ops, "wanted", wanted)
    monkeypatch.setattr(custom_ops, "kernel", kernel)
    monkeypatch.setattr(synthesis, "working_dtype", dtype)
    monkeypatch.setattr(build, "pick_device", lambda name: DEVICE)
    monkeypatch.setattr(discriminator_blocks, "working_dtype", dtype)
    return launched


def trainer(data, cfg, folder):
    """As on a GPU with everything switched on: all steps, mixed precision, every augmentation."""
    config = config_for(
        data, cfg=cfg, num_frames=1 if cfg == "stylegan2" else 3, batch=2, aug="fixed", p=0.7, augpipe="bgcfnc",
        pl_weight=2.0, style_mixing=0.9, device="cuda", cbase=1024, cmax=32, mbstd_group=2, latent_dim=32,
        motion_z_dim=32, nobench=False,
    )  # fmt: skip
    return Trainer(config, folder)


@pytest.mark.parametrize(
    ("cfg", "launches"),
    [
        ("stylegan-v", True),
        ("stylegan2", True),
        pytest.param("stylegan-v", False, marks=pytest.mark.nightly),
        pytest.param("stylegan-v-lstm", True, marks=pytest.mark.nightly),
    ],
    indirect=["launches"],
)
def test_a_training_step_does_not_wait_for_the_device(cfg, sky32, tmp_path, launches):
    run = trainer(sky32, cfg, tmp_path)
    with Watched():
        run.step()
    assert all(parameter.device == DEVICE for parameter in run.state.G_ema.parameters())
    half = [variant for variant in launches if variant["SCALAR"] == custom_ops.SCALARS[torch.float16]]
    wide = [variant for variant in half if variant["WIDTH"] > 1]
    assert {variant.name for variant in wide} == ({"upfirdn2d", "bias_act"} if launches else set())
    assert all(variant["CHANNELS_LAST"] for variant in wide)


@pytest.mark.parametrize("launches", [True, False], indirect=True)
def test_chunks_of_a_video_do_not_wait_for_the_device(make_generator, launches):
    sampler = VideoSampler(make_generator(num_fp16_res=2, conv_clamp=256), DEVICE)
    motion = sampler.motion(VideoName(0, motion_seed=1))
    rows = torch.zeros([1, sampler.generator.num_ws, sampler.generator.w_dim], device=DEVICE)
    with Watched():
        strips = list(sampler.strips(Scene(still(rows), motion), frame_times(20)))
    assert sum(map(len, strips)) == 20 and strips[0].device == DEVICE


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense.default waits"),
        (lambda x: x[x > 0], "waits for the device"),
        (lambda x: x.cpu(), "to the CPU waits"),
        (lambda x: torch.ones(3).to(x.device), "waits for the device"),
        (lambda x: x + torch.ones(3), "on the CPU"),
        (lambda x: x[:, None].half() @ x[None], "of {torch.float"),
    ],
)
def test_what_waits_or_does_not_go_together_is_an_error(waiting, words):
    with Watched(), pytest.raises(AssertionError, match=words), contextlib.suppress(RuntimeError):
        waiting(torch.ones(3, device=DEVICE))
