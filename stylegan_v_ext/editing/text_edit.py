"""From prompts and videos to a folder of edits: the two methods, their files, and what they say."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stylegan_v_ext.arguments import check_type, path_of
from stylegan_v_ext.checkpoints import exports
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.editing import descent
from stylegan_v_ext.editing.prompts import Prompt, make_prompts
from stylegan_v_ext.editing.requests import NEUTRAL, EditRequest
from stylegan_v_ext.editing.style_space import bake, style_layers
from stylegan_v_ext.editing.text_directions import Relevance, measure_relevance
from stylegan_v_ext.editing.text_image import TextImageEncoder, load_encoder
from stylegan_v_ext.editing.text_latent import TextEditOptions, TextEditor
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate.latents import VideoLatents, load_latents
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.opening import OpenedNetwork, open_network
from stylegan_v_ext.generate.request import RequestError
from stylegan_v_ext.generate.sampler import Source, VideoName, VideoSampler, check_class, frame_times
from stylegan_v_ext.generate.video import Video
from stylegan_v_ext.listener import SILENT, Listener

_MOMENTS = 64  # of a video that seeds name, for the descent
_DEFAULTS = EditRequest()


@dataclass(frozen=True)
class EditedVideo:
    """The result of one edit.

    Attributes:
        path: MP4 of the video before and after the edit.
        before: Similarity of the video to the prompt before the edit: mean cosine of CLIP's embeddings.
        after: Similarity after the edit.
        latents: The edited video; None for "global", which edits the network.
    """

    path: Path
    before: float
    after: float
    latents: VideoLatents | None


@dataclass(frozen=True)
class _Tools:
    """Tools of both methods."""

    sampler: VideoSampler
    encoder: TextImageEncoder
    request: EditRequest
    folder: Path
    listener: Listener


@execution(tf32=False)  # numbers of 32 bits stay numbers of 32 bits on GPUs
def edit(
    network: str | Path,
    prompt: str | None = None,
    *,
    prompts: str | Path | None = None,
    seeds: Sequence[int] = (),
    projections: Sequence[str | Path] = (),
    output: str | Path = "edits",
    request: EditRequest = _DEFAULTS,
    device: str = "auto",
    trust_pickle: bool = False,
    allow_nan: bool = False,
    listener: Listener = SILENT,
) -> list[EditedVideo]:
    """Change what videos show by a text; their motion goes on as it was.

        edit("faces.pkl", "a smiling face", seeds=range(4), request=EditRequest(neutral="a face"))

    A call that was stopped goes on if it is made again.

    Args:
        network: Video generator: a file of any known format, a run folder or a URL.
        prompt: What the videos are to look like; None for `prompts`.
        prompts: A YAML file of many prompts, see `prompts.make_prompts`; None for `prompt`.
        seeds: Content seeds of videos to edit.
        projections: Files of `project` or `edit` with videos to edit.
        output: Folder for an MP4 of before and after for each video and prompt, and the edited video as .npz for
            "latent". A video that "latent" has edited before is left as it is.
        request: How to go about it.
        device: "auto", "cuda", "cuda:1", "cpu" or "mps".
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to use a network with NaN or infinite weights.
        listener: Hears messages, progress and names of files.

    Returns:
        The edits that were made, prompt by prompt.

    Raises:
        RequestError: If there is no prompt or no video.
        ValueError: If an input cannot be used, or if two edits have one name.
        OSError: If a file cannot be written.
        StoppedBySignal: After Ctrl-C or another signal: the state was written.
    """
    check_type("request", request, EditRequest)
    if (prompt is None) == (prompts is None):
        raise RequestError("say what to change, with --prompt=TEXT or --prompts=FILE")
    wanted = make_prompts(
        prompt, prompts, neutral=request.neutral, strength=request.strength, disentangle=request.disentangle
    )
    if not seeds and not projections:
        raise RequestError("say which videos to edit, with --seeds=0-3 or --projection=projection.npz")
    opened = open_network(network, trust_pickle=trust_pickle, allow_nan=allow_nan, listener=listener)
    sampler, folder = opened.sampler(pick_device(device)), path_of("output", output)
    sources = _sources(sampler, seeds, projections, request, str(opened.path))
    inputs = [str(opened.path), *map(str, projections)]
    listener.will_write(_targets(folder, wanted, sources, request), inputs=inputs)
    tools = _Tools(sampler, load_encoder(request.model, sampler.device), request, folder, listener)
    folder.mkdir(parents=True, exist_ok=True)
    edits = _latent_edits if request.method == "latent" else _global_edits
    return list(edits(tools, wanted, sources, opened))


def _sources(
    sampler: VideoSampler,
    seeds: Sequence[int],
    projections: Sequence[str | Path],
    request: EditRequest,
    network: str,
) -> list[tuple[str, Source]]:
    """Return (name, source) of each video; messages name `network`."""
    if seeds or request.class_index is not None:
        check_class(network, sampler.generator.num_classes, request.class_index)
    found: list[tuple[str, Source]] = [
        (f"seed{seed:04d}", VideoName(seed, request.motion_seed, request.class_index)) for seed in seeds
    ]
    for path in projections:
        latents = load_latents(path)
        latents.check(sampler.generator, str(path))
        found.append((Path(path).stem, latents))
    return found


def _targets(
    folder: Path, prompts: Sequence[Prompt], sources: Sequence[tuple[str, Source]], request: EditRequest
) -> list[Path]:
    """Return the files that will be written; a video that "latent" has edited before is left as it is."""
    stems = [folder / f"{name}-{prompt.name}" for name, _ in sources for prompt in prompts]
    if len(set(stems)) < len(stems):
        raise ValueError("two edits have one name; give them a `name` of their own in --prompts")
    if request.method == "latent":
        stems = [stem for stem in stems if not Path(f"{stem}.npz").exists()]
    networks = prompts if request.method == "global" and request.save_network else []
    return [Path(f"{stem}.mp4") for stem in stems] + [folder / f"{prompt.name}.pkl" for prompt in networks]


def _latent_edits(
    tools: _Tools, prompts: Sequence[Prompt], sources: Sequence[tuple[str, Source]], opened: OpenedNetwork
) -> Iterator[EditedVideo]:
    """Edit by descent in w."""
    for prompt in prompts:
        for name, source in sources:
            path = tools.folder / f"{name}-{prompt.name}.npz"
            if path.exists():
                tools.listener.say(f"{path} exists already; left as it is")
                continue
            yield _latent_edit(tools, prompt, name, source, path)


def _latent_edit(tools: _Tools, prompt: Prompt, name: str, source: Source, path: Path) -> EditedVideo:
    request, sampler = tools.request, tools.sampler
    options = TextEditOptions(
        request.steps, request.lr, identity=request.identity, locality=request.locality, seed=request.seed
    )
    times = source.times if isinstance(source, VideoLatents) else np.zeros(0)
    times = times if len(times) else np.arange(_MOMENTS, dtype=np.float64)
    editor = TextEditor(sampler, source, times, tools.encoder, prompt.text, prompt.neutral, options)
    purpose = descent.fingerprint(
        dict(network=sampler.generator, w=editor.before, motion=editor.motion, options=options, texts=editor.texts)
    )
    state = path.with_name(path.name.removesuffix(".npz") + ".state")
    descent.run(editor, state, purpose, f"{name} {prompt.name}", tools.listener)
    before, after = editor.similarities()
    latents = editor.latents()
    latents.save(path)
    state.unlink(missing_ok=True)
    tools.listener.say(f"{prompt.text!r}: similarity {before:.4f} -> {after:.4f}")
    tools.listener.say(str(path))
    target = path.with_name(path.name.removesuffix(".npz") + ".mp4")
    _write_pair(tools, [(sampler, source), (sampler, latents)], target)
    return EditedVideo(target, before, after, latents)


def _global_edits(
    tools: _Tools, prompts: Sequence[Prompt], sources: Sequence[tuple[str, Source]], opened: OpenedNetwork
) -> Iterator[EditedVideo]:
    """Edit by directions in style space."""
    request = tools.request
    path = Path(request.relevance) if request.relevance else None
    relevance = measure_relevance(
        tools.sampler, tools.encoder, path, request.relevance_images, request.class_index, tools.listener
    )
    for prompt in prompts:
        for name, source in sources:
            yield _global_edit(tools, prompt, name, source, relevance, opened)


def _global_edit(
    tools: _Tools, prompt: Prompt, name: str, source: Source, relevance: Relevance, opened: OpenedNetwork
) -> EditedVideo:
    neutral = prompt.neutral if prompt.neutral is not None else NEUTRAL
    text = tools.encoder.direction(prompt.text, neutral)
    offsets = relevance.offsets(text.cpu(), prompt.strength, prompt.disentangle)
    edited = copy.deepcopy(tools.sampler.generator)
    bake(edited, offsets)
    after = VideoSampler(edited, tools.sampler.device)
    similarities = [_similarity(sampler, source, tools.encoder, prompt.text) for sampler in (tools.sampler, after)]
    count = f"{int((offsets != 0).sum())} of {style_layers(edited)[-1].stop} channels"
    tools.listener.say(f"{prompt.text!r}: similarity {similarities[0]:.4f} -> {similarities[1]:.4f}, {count}")
    if tools.request.save_network:
        path = tools.folder / f"{prompt.name}.pkl"
        networks = {"G_ema": NetworkData.of(copy.deepcopy(edited).cpu())}
        exports.export_snapshot(path, networks, opened.training_set_kwargs)
        tools.listener.written(path)
    target = tools.folder / f"{name}-{prompt.name}.mp4"
    _write_pair(tools, [(tools.sampler, source), (after, source)], target)
    return EditedVideo(target, similarities[0], similarities[1], None)


@torch.inference_mode()
def _similarity(sampler: VideoSampler, source: Source, encoder: TextImageEncoder, text: str) -> float:
    """Return the mean cosine of a video's frames to a text."""
    frames = torch.cat(list(sampler.strips(sampler.scene(source), frame_times(8, speed=8))))
    return float((encoder.images(frames) @ encoder.texts([text])[0]).mean())


def _write_pair(tools: _Tools, pair: Sequence[tuple[VideoSampler, Source]], target: Path) -> None:
    """Write a video before and after its edit, side by side; each is a (sampler, source)."""
    layout, num_frames = Layout(2, padding=2, labels=["before", "after"]), tools.request.frames

    def frames() -> Iterator[np.ndarray]:
        streams = [sampler.frames(source, frame_times(num_frames)) for sampler, source in pair]
        return (layout.compose(cells) for cells in zip(*streams, strict=True))

    with tools.listener.progress(target.name, num_frames) as advance:
        Video(frames, num_frames).write(target, progress=advance)
    tools.listener.written(target)
