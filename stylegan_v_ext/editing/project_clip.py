"""From a real clip to a folder with its latents: reading it, the descents, the files that show how close they come."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylegan_v_ext.arguments import check_type, path_of
from stylegan_v_ext.checkpoints import exports
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.source_reader import read_clip
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.editing import descent
from stylegan_v_ext.editing.comparison import profile_correlation, psnr
from stylegan_v_ext.editing.curve import write_curve
from stylegan_v_ext.editing.perceptual import FrameLoss, load_loss
from stylegan_v_ext.editing.projection import ProjectionOptions, Projector
from stylegan_v_ext.editing.requests import ProjectRequest
from stylegan_v_ext.editing.tuning import Tuner
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate.latents import VideoLatents, load_latents
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.opening import open_network
from stylegan_v_ext.generate.sampler import VideoSampler, check_class
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.listener import SILENT, Listener, refuse_inputs
from stylegan_v_ext.networks.generator import VideoGenerator

_RESULTS = ("projection.npz", "tuned.pkl", "comparison.mp4", "loss.png", "tuning-loss.png")
_STATES = ("state.pt", "tuning-state.pt")
_MOST_STARTS = 4  # random videos that race against each other
_DEFAULTS = ProjectRequest()


@dataclass(frozen=True)
class _Task:
    """The input of both descents.

    Attributes:
        generator: The network, on the device.
        target: The clip, frames uint8 `[T, H, W, 3]`.
        times: Times `[T]` of its frames, in frames of the training data.
        loss: How far frames are from the clip.
        purpose: Fingerprint of all that the latents depend on.
        folder: Where files go.
    """

    generator: VideoGenerator
    target: np.ndarray
    times: np.ndarray
    loss: FrameLoss
    purpose: str
    folder: Path


@execution(tf32=False)  # numbers of 32 bits stay numbers of 32 bits on GPUs
def project(
    network: str | Path,
    clip: str | Path,
    *,
    output: str | Path = "projection",
    request: ProjectRequest = _DEFAULTS,
    device: str = "auto",
    trust_pickle: bool = False,
    allow_nan: bool = False,
    listener: Listener = SILENT,
) -> VideoLatents:
    """Find the content and the motion of a real clip, so that a network makes a video that looks and moves like it.

        latents = project("faces.pkl", "clip.mp4", output="me", request=ProjectRequest(steps=500))
        load("faces.pkl").video(latents=latents, frames=300).write("it_goes_on.mp4")

    Args:
        network: Video generator: a file of any known format, a run folder or a URL.
        clip: A video file, an animation, an .npy file, a zip with such a file, or a folder (or zip) of frames.
        output: Folder for projection.npz, comparison.mp4, loss.png, and tuned.pkl with `request.tune`.
        request: How to go about it.
        device: "auto", "cuda", "cuda:1", "cpu" or "mps".
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to use a network with NaN or infinite weights.
        listener: Hears messages and progress.

    Returns:
        The latents, which `output` / "projection.npz" holds too.

    Raises:
        ValueError: If an input cannot be used, or if `output` holds the result of another call.
        OSError: If a file cannot be written.
        StoppedBySignal: After Ctrl-C or another signal. The state was written, and the same call goes on from there.
    """
    check_type("request", request, ProjectRequest)
    clip, folder, here = path_of("clip", clip), path_of("output", output), pick_device(device)
    _refuse_finished(folder, request)
    refuse_inputs([folder / "comparison.mp4", folder / "tuned.pkl"], [str(clip), str(network)])
    opened = open_network(network, trust_pickle=trust_pickle, allow_nan=allow_nan, listener=listener)
    check_class(str(opened.path), opened.data.num_classes, request.class_index)
    generator = opened.build()
    if generator.img_channels != 3:
        raise ValueError(f"{opened.path} makes images of {generator.img_channels} channels; give a model of 3")
    target, fps = read_target(clip, request, generator.img_resolution, listener)
    loss, loss_name = load_loss(request.loss, here)
    listener.say(f"{len(target)} frames of {generator.img_resolution} px, loss: {loss_name}")
    folder.mkdir(parents=True, exist_ok=True)
    task = _make_task(generator.to(here), target, loss, loss_name, request, folder)
    curves: dict[str, list[float]] = {}
    latents = _finished(task)
    if latents is None:
        about = {"network": str(opened.path), "clip": str(clip), "skip": request.skip, "fps": request.fps}
        latents = _project(task, request, {**about, "loss": loss_name, "purpose": task.purpose}, curves, listener)
    if request.tune:
        generator = _tune(task, request, latents, opened.training_set_kwargs, curves, listener)
    _write_results(task, VideoSampler(generator, here), latents, curves, fps or 25.0, listener)
    for name in _STATES:
        (folder / name).unlink(missing_ok=True)
    return latents


def _options(request: ProjectRequest) -> ProjectionOptions:
    return ProjectionOptions(
        space=request.space,
        num_candidates=request.candidates,
        num_starts=min(_MOST_STARTS, request.candidates),
        num_race_steps=request.steps // 10,
        num_steps=request.steps,
        chunk_frames=request.chunk,
        w_reg=request.w_reg,
        motion_reg=request.motion_reg,
        seed=request.seed,
    )


def _refuse_finished(folder: Path, request: ProjectRequest) -> None:
    final, tuned = folder / "projection.npz", folder / "tuned.pkl"
    if final.exists() and (not request.tune or tuned.exists()):
        there = tuned if request.tune else final
        raise ValueError(f"{there} exists already; name another --output or delete it first")


def read_target(
    clip: str | Path, request: ProjectRequest, resolution: int, listener: Listener = SILENT
) -> tuple[np.ndarray, float | None]:
    """Read the frames of a clip that are projected.

    Args:
        clip: As for `project`.
        request: Says which frames.
        resolution: Side of the frames in pixels.
        listener: Hears notes about the file.

    Returns:
        Frames uint8 `[T, H, W, 3]`, and their frames a second; None if the rate is unknown.

    Raises:
        ValueError: If the clip cannot be read, or if fewer than 2 frames are left.
    """
    last = None if request.frames is None else request.skip + request.frames
    found = read_clip(str(clip), Geometry((resolution, resolution)), request.fps, last)
    for note in found.notes:
        listener.note(f"Note: {note}")
    if len(found.frames) - request.skip < 2:
        raise ValueError(
            f"{clip} has {len(found.frames)} frames, --skip={request.skip} leaves fewer than the 2 that are needed"
        )
    return found.frames[request.skip :], found.fps


def _make_task(
    generator: VideoGenerator,
    target: np.ndarray,
    loss: FrameLoss,
    loss_name: str,
    request: ProjectRequest,
    folder: Path,
) -> _Task:
    times = request.start + np.arange(len(target), dtype=np.float64)
    purpose = descent.fingerprint(
        dict(
            network=generator,
            target=target,
            times=times,
            options=_options(request),
            loss=loss_name.split(" (")[0],
            class_index=request.class_index,
        )
    )
    return _Task(generator, target, times, loss, purpose, folder)


def _finished(task: _Task) -> VideoLatents | None:
    """Return the latents of an earlier call with the same task; None if there was no such call."""
    path = task.folder / "projection.npz"
    if not path.exists():
        return None
    latents = load_latents(path)
    if latents.settings.get("purpose") != task.purpose:
        raise ValueError(f"{path} is of another clip, network or other options; name another --output or delete it")
    return latents


def _project(
    task: _Task,
    request: ProjectRequest,
    settings: dict[str, object],
    curves: dict[str, list[float]],
    listener: Listener,
) -> VideoLatents:
    """Find the latents and write them. `settings` goes into the file, the loss of each step into `curves`."""
    listener.note(f"Looking at {request.candidates} random videos ...")
    projector = Projector(task.generator, task.target, task.times, task.loss, _options(request), request.class_index)
    descent.run(projector, task.folder / "state.pt", task.purpose, "projection", listener)
    curves["projection"] = projector.history
    found = projector.latents()
    latents = dataclasses.replace(found, settings={**found.settings, **settings})
    latents.save(task.folder / "projection.npz")
    return latents


def _tune(
    task: _Task,
    request: ProjectRequest,
    latents: VideoLatents,
    training_set_kwargs: dict[str, object],
    curves: dict[str, list[float]],
    listener: Listener,
) -> VideoGenerator:
    """Fit the network to the clip and write it. The loss of each step goes into `curves`."""
    tuner = Tuner(task.generator, task.target, latents, task.loss, request.tune, request.chunk, seed=request.seed)
    purpose = descent.fingerprint(dict(p=task.purpose, n=request.tune))
    descent.run(tuner, task.folder / "tuning-state.pt", purpose, "tuning", listener)
    curves["tuning"] = tuner.history
    generator = tuner.result().cpu()
    exports.export_snapshot(task.folder / "tuned.pkl", {"G_ema": NetworkData.of(generator)}, training_set_kwargs)
    return generator


def _write_results(
    task: _Task,
    sampler: VideoSampler,
    latents: VideoLatents,
    curves: dict[str, list[float]],
    fps: float,
    listener: Listener,
) -> None:
    """Write comparison.mp4 and loss.png; say how close the reconstruction comes, and which files there are."""
    folder, target = task.folder, task.target
    frames = np.stack(list(sampler.frames(latents, latents.times)))
    picture = "loss.png" if "projection" in curves else "tuning-loss.png"
    listener.will_write([folder / name for name in ["comparison.mp4", *([picture] if curves else [])]])
    layout = Layout(2, padding=2, labels=["clip", "projection"])
    pairs = (layout.compose(pair) for pair in zip(target, frames, strict=True))
    write_video(folder / "comparison.mp4", pairs, fps)
    if curves:  # the curve of an earlier projection stays
        write_curve(folder / picture, curves, f"Projection of {len(target)} frames")
    closeness = psnr(frames, target), profile_correlation(frames, target)
    listener.say("PSNR {:.2f} dB, correlation of the motion profiles {:.3f}".format(*closeness))
    for name in _RESULTS:
        if (folder / name).exists():
            listener.written(folder / name)
