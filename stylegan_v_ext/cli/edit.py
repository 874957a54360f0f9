"""`stylegan-v edit`: steer a video with text."""

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import (
    FOLDER,
    PATH,
    OutputFile,
    SeedList,
    UserError,
    device_to_use,
    files_to_replace,
    progress_bar,
    report_user_errors,
    say_written,
)
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.text import say

_FRAMES_OF_EDIT = 64
_EPILOG = """
\b
Examples:
  stylegan-v edit --network=faces.pkl --seeds=0-3 --prompt="a smiling face" --neutral="a face"
  stylegan-v edit --network=faces.pkl --projection=projection/projection.npz --prompt="an old man"
  stylegan-v edit --network=sky.pkl --seeds=7 --prompt="a sunset" --neutral="the sky" --method=global
  stylegan-v edit --network=sky.pkl --seeds=0-3 --prompts=edits.yaml --method=global
\b
A file of prompts is a list; all but the prompt may be left out:
  - prompt: a sunset
    neutral: the sky
    name: sunset
    strength: 6
  - prompt: a storm
"""


@dataclass(frozen=True)
class Edit:
    """What one edit asks for.

    Attributes:
        name: Of its files.
    """

    prompt: str
    neutral: str | None
    name: str
    strength: float
    disentangle: float


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option("--network", help="Video generator: file, run folder or URL", type=PATH, metavar="PKL|DIR", required=True)
@click.option("--seeds", help="Content seeds of the videos to edit", type=SeedList(), metavar="0-7,12")
@click.option(
    "--motion-seed", help="Their motion  [default: of its own for each content]", type=click.IntRange(0, 2**32 - 1)
)
@click.option(
    "--projection",
    "projections",
    help="A video that `stylegan-v project` or this command wrote; may be given again",
    type=PATH,
    metavar="NPZ",
    multiple=True,
)
@click.option("--class", "class_index", help="Class of a conditional network", type=click.IntRange(min=0))
@click.option("--prompt", help="What the video is to look like", metavar="TEXT")
@click.option("--neutral", help="What it looks like now; edits go from there to the prompt", metavar="TEXT")
@click.option("--prompts", help="A YAML file of many", type=PATH, metavar="FILE")
@click.option(
    "--method",
    help="latent: move w by descent, for each video anew; global: a direction in style space, "
    "the same for all videos, in milliseconds once the network's channels are measured",
    type=click.Choice(["latent", "global"]),
    default="latent",
)
@click.option(
    "--clip",
    "clip_name",
    help="A CLIP model: a folder, or an id of the Hugging Face hub",
    default="openai/clip-vit-base-patch32",
    type=PATH,
    metavar="DIR|ID",
)
@click.option("--steps", help="latent: steps of descent", type=click.IntRange(min=1), default=100)
@click.option(
    "--lr", help="latent: learning rate; larger goes further", default=0.05, type=click.FloatRange(min=0, min_open=True)
)
@click.option(
    "--identity",
    help="latent: weight of coarse changes; larger keeps what is seen recognisable",
    type=click.FloatRange(min=0),
    default=0.1,
)
@click.option(
    "--locality",
    help="latent: weight of changed pixels; larger changes fewer of them",
    type=click.FloatRange(min=0),
    default=0.1,
)
@click.option(
    "--strength",
    help="global: how far, in standard deviations of the most relevant channel; below 0 for the opposite",
    type=float,
    default=5.0,
)
@click.option(
    "--disentangle",
    help="global: leave out channels below that share of the largest relevance; more changes less besides",
    type=click.FloatRange(0, 1),
    default=0.3,
)
@click.option(
    "--relevance",
    help="global: file for what the channels do; measured if it is not there  [default: in the cache]",
    type=OutputFile("safetensors"),
    metavar="FILE",
)
@click.option(
    "--relevance-images", help="global: random videos that it is measured on", default=16, type=click.IntRange(1, 1024)
)
@click.option("--save-network", help="global: also write each edit as a network of its own", cls=Switch)
@click.option("--frames", help="Length of the MP4s", type=click.IntRange(min=1), default=128)
@click.option("--seed", help="Of all that is random", type=click.IntRange(0, 2**32 - 1), default=0)
@click.option("--output", help="Folder", default="edits", type=FOLDER, metavar="DIR")
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@click.pass_context
@report_user_errors
def edit(context: click.Context, **o: Any) -> None:
    """Change what a video shows by a text; its motion goes on as it was.

    Writes an MP4 of before and after for each video and prompt, and with --method=latent the edited
    video as .npz, for gen_video.py --projection.
    """
    from stylegan_v_ext.cli.gen_video import check_class, load_video_generator
    from stylegan_v_ext.editing.text_image import load_encoder
    from stylegan_v_ext.generate.sampler import VideoSampler

    edits = _edits(o)
    if not o["seeds"] and not o["projections"]:
        raise click.UsageError("say which videos to edit, with --seeds=0-3 or --projection=projection.npz")
    checkpoint, generator = load_video_generator(o["network"], o["trust_pickle"], o["allow_nan"])
    if o["seeds"] or o["class_index"] is not None:
        check_class(str(checkpoint.path), generator.num_classes, o["class_index"])
    sampler = VideoSampler(generator, device_to_use(o["device"]))
    sources = _sources(o, generator)
    folder = Path(o["output"])
    targets = [folder / f"{name}-{edit.name}.mp4" for name, _ in sources for edit in edits]
    if len(set(targets)) < len(targets):
        raise UserError("two edits have one name; give them a `name` of their own in --prompts")
    replaced = files_to_replace(
        _targets(o, edits, [name for name, _ in sources]), inputs=[str(checkpoint.path), *o["projections"]]
    )
    encoder = load_encoder(o["clip_name"], sampler.device)
    folder.mkdir(parents=True, exist_ok=True)
    job = (
        _LatentJob(context, o, sampler, encoder, replaced)
        if o["method"] == "latent"
        else _GlobalJob(context, o, sampler, encoder, replaced, checkpoint)
    )
    for wanted in edits:
        for name, source in sources:
            job.run(wanted, name, source, folder)


def _targets(o: dict[str, Any], edits: list[Edit], names: list[str]) -> list[Path]:
    """The files that will be written; a video that --method=latent has edited before is left as it is."""
    stems = [Path(o["output"]) / f"{name}-{edit.name}" for name in names for edit in edits]
    if o["method"] == "latent":
        stems = [stem for stem in stems if not Path(f"{stem}.npz").exists()]
    networks = edits if o["method"] == "global" and o["save_network"] else []
    return [Path(f"{stem}.mp4") for stem in stems] + [Path(o["output"]) / f"{edit.name}.pkl" for edit in networks]


def _edits(o: dict[str, Any]) -> list[Edit]:
    if (o["prompt"] is None) == (o["prompts"] is None):
        raise click.UsageError("say what to change, with --prompt=TEXT or --prompts=FILE")
    entries = [{"prompt": o["prompt"]}] if o["prompt"] is not None else _read_prompts(o["prompts"])
    found = []
    for entry in entries:
        prompt = entry["prompt"].strip()
        if not prompt:
            raise UserError("a prompt is empty; say what the video is to look like")
        neutral = entry.get("neutral", o["neutral"])
        found.append(
            Edit(
                prompt,
                neutral,
                slug(str(entry.get("name", prompt))),
                float(entry.get("strength", o["strength"])),
                float(entry.get("disentangle", o["disentangle"])),
            )
        )
    return found


def _read_prompts(path: str) -> list[dict[str, Any]]:
    """Entries of a YAML file. Raises `UserError` for one that cannot be understood."""
    try:
        import yaml
    except ImportError:
        raise UserError("--prompts needs the pyyaml package; pip install 'stylegan_v_ext[clip]'") from None
    try:
        entries = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML ({str(error).splitlines()[0]})") from None
    entries = (
        [{"prompt": item} if isinstance(item, str) else item for item in entries or []]
        if isinstance(entries, list)
        else None
    )
    kinds: dict[str, Any] = dict(prompt=str, neutral=str, name=str, strength=(int, float), disentangle=(int, float))
    for number, entry in enumerate(entries or []):
        sound = isinstance(entry, dict) and "prompt" in entry
        sound = sound and all(key in kinds and isinstance(value, kinds[key]) for key, value in entry.items())
        if not sound:
            raise UserError(f"{path}: entry {number + 1} is not a text, or a prompt with {', '.join(list(kinds)[1:])}")
    if not entries:
        raise UserError(f"{path} is no list of prompts; write lines like `- prompt: a sunset`")
    return entries


def slug(text: str) -> str:
    """A text as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48] or "edit"


def _sources(o: dict[str, Any], generator: Any) -> list[tuple[str, Any]]:
    from stylegan_v_ext.generate.latents import load_latents
    from stylegan_v_ext.generate.sampler import VideoName

    found: list[tuple[str, Any]] = [
        (f"seed{seed:04d}", VideoName(seed, o["motion_seed"], o["class_index"])) for seed in o["seeds"] or []
    ]
    for path in o["projections"]:
        latents = load_latents(path)
        latents.check(generator, path)
        found.append((Path(path).stem, latents))
    return found


class _LatentJob:
    """Edits by descent in w."""

    def __init__(
        self, context: click.Context, o: dict[str, Any], sampler: Any, encoder: Any, replaced: set[Path]
    ) -> None:
        self.context, self.o, self.sampler, self.encoder, self.replaced = context, o, sampler, encoder, replaced

    def run(self, wanted: Edit, name: str, source: Any, folder: Path) -> None:
        import numpy as np

        from stylegan_v_ext.editing import descent
        from stylegan_v_ext.editing.text_latent import TextEditOptions, TextEditor
        from stylegan_v_ext.interrupts import StoppedBySignal

        o = self.o
        path = folder / f"{name}-{wanted.name}.npz"
        if path.exists():
            say(f"{path} exists already; left as it is")
            return
        options = TextEditOptions(o["steps"], o["lr"], identity=o["identity"], locality=o["locality"], seed=o["seed"])
        times = getattr(source, "times", np.zeros(0))
        times = times if len(times) else np.arange(_FRAMES_OF_EDIT, dtype=np.float64)
        editor = TextEditor(self.sampler, source, times, self.encoder, wanted.prompt, wanted.neutral, options)
        purpose = descent.fingerprint(
            dict(
                network=self.sampler.generator,
                w=editor.before,
                motion=editor.motion,
                options=options,
                texts=editor.texts,
            )
        )
        state = folder / f"{name}-{wanted.name}.state"
        try:
            with progress_bar(editor.num_steps_in_all, f"{name} {wanted.name}") as bar:
                descent.run(editor, state, purpose, bar.update)
        except StoppedBySignal as stopped:
            say("Stopped; the same command goes on from there", err=True)
            self.context.exit(stopped.exit_code)
        before, after = editor.similarities()
        latents = editor.latents()
        latents.save(path)
        state.unlink(missing_ok=True)
        say(f"{wanted.prompt!r}: similarity {before:.4f} -> {after:.4f}", path)
        pair = [(self.sampler, source), (self.sampler, latents)]
        _write_pair(pair, folder / f"{name}-{wanted.name}.mp4", self.o["frames"], self.replaced)


def measured_relevance(
    context: click.Context, sampler: Any, encoder: Any, images: int, class_index: int | None, path: Path | None = None
) -> Any:
    """What the channels of a network do, from its file or with a bar; Ctrl-C ends the command."""
    from stylegan_v_ext.editing.text_directions import measure_relevance
    from stylegan_v_ext.interrupts import StoppedBySignal

    try:
        with progress_bar(1000, "Measuring channels") as bar:

            def advance(steps: int, total: int) -> None:
                bar.length = total
                bar.update(steps)

            return measure_relevance(sampler, encoder, path, images, class_index, advance)
    except StoppedBySignal as stopped:
        say("Stopped; the same command goes on from there", err=True)
        context.exit(stopped.exit_code)


class _GlobalJob:
    """Edits by directions in style space."""

    def __init__(
        self,
        context: click.Context,
        o: dict[str, Any],
        sampler: Any,
        encoder: Any,
        replaced: set[Path],
        checkpoint: Any,
    ) -> None:
        self.o, self.sampler, self.encoder, self.checkpoint = o, sampler, encoder, checkpoint
        self.replaced = replaced
        path = Path(o["relevance"]) if o["relevance"] else None
        self.relevance = measured_relevance(context, sampler, encoder, o["relevance_images"], o["class_index"], path)

    def run(self, wanted: Edit, name: str, source: Any, folder: Path) -> None:
        import torch

        from stylegan_v_ext.checkpoints import exports
        from stylegan_v_ext.checkpoints.network import NetworkData
        from stylegan_v_ext.editing.style_space import bake, style_layers
        from stylegan_v_ext.generate.sampler import VideoSampler, frame_times

        neutral = wanted.neutral if wanted.neutral is not None else "a picture"
        text = self.encoder.direction(wanted.prompt, neutral)
        offsets = self.relevance.offsets(text.cpu(), wanted.strength, wanted.disentangle)
        edited = copy.deepcopy(self.sampler.generator)
        bake(edited, offsets)
        after = VideoSampler(edited, self.sampler.device)
        moments = list(frame_times(8, speed=8))
        seen = []
        with torch.inference_mode():
            for sampler in (self.sampler, after):
                frames = torch.cat(list(sampler.strips(sampler.video(source), moments)))
                seen.append(float((self.encoder.images(frames) @ self.encoder.texts([wanted.prompt])[0]).mean()))
        count = f"{int((offsets != 0).sum())} of {style_layers(edited)[-1].stop} channels"
        say(f"{wanted.prompt!r}: similarity {seen[0]:.4f} -> {seen[1]:.4f}, {count}")
        if self.o["save_network"]:
            path = folder / f"{wanted.name}.pkl"
            exports.export_snapshot(
                path, {"G_ema": NetworkData.of(copy.deepcopy(edited).cpu())}, self.checkpoint.training_set_kwargs
            )
            say_written(path, self.replaced)
        pair = [(self.sampler, source), (after, source)]
        _write_pair(pair, folder / f"{name}-{wanted.name}.mp4", self.o["frames"], self.replaced)


def _write_pair(pair: list[tuple[Any, Any]], target: Path, frames: int, replaced: set[Path]) -> None:
    """Before and after side by side, each a (sampler, source)."""
    from stylegan_v_ext.generate.layout import Layout
    from stylegan_v_ext.generate.sampler import frame_times
    from stylegan_v_ext.generate.writers import write_video

    layout = Layout(2, padding=2, labels=["before", "after"])
    streams = [sampler.frames(source, frame_times(frames)) for sampler, source in pair]
    with progress_bar(frames, target.name) as bar:

        def counted() -> Any:
            for pair in zip(*streams, strict=True):
                yield layout.compose(pair)
                bar.update(1)

        write_video(target, counted(), 25.0)
    say_written(target, replaced)
