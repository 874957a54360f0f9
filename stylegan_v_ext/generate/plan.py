"""From a request to the videos that it stands for: their names, contents, motions, and the grid that may hold them."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.directions import load_direction
from stylegan_v_ext.generate.latents import load_latents
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.recipe import Recipe, StyleMix
from stylegan_v_ext.generate.request import RequestError, VideoRequest
from stylegan_v_ext.generate.sampler import Source, VideoName, VideoSampler, check_class, frame_times
from stylegan_v_ext.generate.tracks import Scene
from stylegan_v_ext.generate.video import Video, is_folder_of_frames
from stylegan_v_ext.text import printable

_LARGEST_GRID = 16_000  # pixels a side; H.264 has 16,384, WebP 16,383, and labels take some
_LONGEST_LABEL = 100


@dataclass(frozen=True)
class PlannedVideo:
    """A video and the file that it goes to.

    Attributes:
        path: The file; `folder.png` and `folder.jpg` stand for a folder of frames.
        video: Its frames, which are made when they are read.
    """

    path: Path
    video: Video

    @property
    def is_folder(self) -> bool:
        """Whether the video becomes a folder of frames."""
        return is_folder_of_frames(self.path)


@dataclass(frozen=True)
class _Named:
    """A source, and its name in the names of files."""

    name: str
    source: Source


@dataclass(frozen=True)
class _Item:
    """A cell of a grid, or a file: its name, its label, and what its frames are computed from."""

    name: str
    label: str
    scene: Scene


def plan_videos(sampler: VideoSampler, request: VideoRequest, network: str = "the network") -> list[PlannedVideo]:
    """Return all videos that a request asks for. Their frames are made when they are written.

        request = VideoRequest(seeds=range(8), grid=(4, 2), output="grid.mp4")
        for planned in plan_videos(sampler, request):
            planned.video.write(planned.path)

    Args:
        sampler: Makes the frames.
        request: Which videos.
        network: Name of the network, for messages.

    Returns:
        One element for each file.

    Raises:
        RequestError: If parts of the request do not go together.
        ValueError: If a file cannot be read, if the network lacks what is asked for, or if a folder of frames exists
            already.
    """
    contents, motions = _contents(sampler, request, network), _motions(sampler, request)
    items = _items(sampler, request, contents, motions, _recipe(sampler, request, network))
    grid = request.grid or ((len(contents), len(motions)) if request.decompose else None)
    if grid is not None:
        _check_grid(grid, len(items), sampler.generator.img_resolution + request.padding)
        planned = [PlannedVideo(_target(request, "grid"), _grid_video(sampler, request, items, grid))]
    elif request.is_file and len(items) > 1:
        raise RequestError(
            f"--output={request.output} is one file for {len(items)} videos; name a folder or add --grid"
        )
    else:
        planned = [PlannedVideo(_target(request, item.name), _single_video(sampler, request, item)) for item in items]
    _refuse_folders(planned)
    return planned


def _target(request: VideoRequest, name: str) -> Path:
    return Path(request.output) if request.is_file else Path(request.output) / f"{name}.{request.format or 'mp4'}"


def _grid_video(sampler: VideoSampler, request: VideoRequest, items: Sequence[_Item], grid: tuple[int, int]) -> Video:
    layout = Layout(grid[0], grid[1], request.padding, [item.label for item in items] if request.labels else None)
    scenes = [item.scene for item in items]
    return Video(lambda: sampler.grid(scenes, layout, _times(request)), request.num_frames, request.fps)


def _single_video(sampler: VideoSampler, request: VideoRequest, item: _Item) -> Video:
    return Video(lambda: sampler.render(item.scene, _times(request)), request.num_frames, request.fps)


def _times(request: VideoRequest) -> Iterator[float]:
    return frame_times(request.num_frames, request.start, request.speed)


def _refuse_folders(planned: Sequence[PlannedVideo]) -> None:
    for item in planned:
        folder = item.path.with_suffix("")
        if item.is_folder and folder.exists():
            raise ValueError(f"{folder} exists already; name another folder or delete it first")


def _check_grid(grid: tuple[int, int], num_videos: int, cell: int) -> None:
    """Check that a grid has room for all videos, and is not larger than encoders take.

    Args:
        grid: Columns and rows.
        num_videos: How many videos there are.
        cell: Side of a cell in pixels, with its padding.
    """
    columns, rows = grid
    if num_videos > columns * rows:
        raise RequestError(
            f"--grid={columns}x{rows} holds {columns * rows} videos, {num_videos} were asked for; use fewer --seeds or "
            "a larger grid"
        )
    if max(grid) * cell > _LARGEST_GRID:
        raise ValueError(
            f"--grid={columns}x{rows} makes pictures of {columns * cell:,} x {rows * cell:,} pixels; "
            f"{_LARGEST_GRID:,} a side are the most, which {max(_LARGEST_GRID // cell, 1)} cells have"
        )


def _opened(sampler: VideoSampler, path: str) -> _Named:
    latents = load_latents(path)
    latents.check(sampler.generator, path)
    return _Named(Path(path).stem, latents)


def _contents(sampler: VideoSampler, request: VideoRequest, network: str) -> list[_Named]:
    if request.seeds or request.class_index is not None:
        check_class(network, sampler.generator.num_classes, request.class_index)
    contents = [_Named(f"seed{seed:04d}", VideoName(seed, None, request.class_index)) for seed in request.seeds]
    contents += [_opened(sampler, path) for path in request.projections]
    names = [content.name for content in contents]
    if len(set(names)) < len(names):
        raise RequestError(f"{', '.join(names)}: two contents have one name; rename a file or leave a seed out")
    return contents


def _motions(sampler: VideoSampler, request: VideoRequest) -> list[_Named]:
    """Return the motions; [] if every content has its own."""
    if request.motion_from:
        return [_opened(sampler, request.motion_from)]
    num_contents = len(request.seeds) + len(request.projections)
    seeds = request.motion_seeds or (range(num_contents) if request.decompose else [])
    return [_Named(f"motion{seed:04d}", VideoName(0, seed, request.class_index)) for seed in seeds]


def _recipe(sampler: VideoSampler, request: VideoRequest, network: str) -> Recipe:
    """Return what the request does to every video."""
    push, nudge = _direction(sampler, request)
    return Recipe(
        truncation=None if list(request.truncation) == [(0.0, 1.0)] else tracks.keyframes(request.truncation),
        mix=_mix(sampler, request, network),
        push=push,
        strength=tracks.keyframes(request.strength),
        amplitude=request.motion_amplitude,
        nudge=nudge,
        loop=request.num_frames * request.speed if request.loop else None,
    )


def _mix(sampler: VideoSampler, request: VideoRequest, network: str) -> StyleMix | None:
    if request.mix_seed is None:
        return None
    generator = sampler.generator
    top = generator.img_resolution
    low, high = request.mix_layers or (2 ** ((top.bit_length() + 2) // 2), top)
    check_class(network, generator.num_classes, request.class_index)
    rows = tracks.rows_of(low, high, generator.num_ws)
    return StyleMix(VideoName(request.mix_seed, None, request.class_index), rows, tracks.keyframes(request.mix_weight))


def _direction(sampler: VideoSampler, request: VideoRequest) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Return (direction of content, shift of motion); None stands for no direction and no shift."""
    if request.direction is None:
        return None, None
    kind, vector = load_direction(request.direction, sampler.generator)
    if kind == "content":
        return vector, None
    if len(request.strength) > 1:
        raise RequestError("--strength by frame is for directions of content; give one number for motion")
    return None, vector * request.strength[0][1]


def _items(
    sampler: VideoSampler, request: VideoRequest, contents: list[_Named], motions: list[_Named], recipe: Recipe
) -> list[_Item]:
    """Return the videos that contents and motions make together."""
    if request.interpolate:
        return [_interpolation(sampler, request, contents, motions, recipe)]
    items = []
    for content, motion in _pairs(request, contents, motions):
        track = tracks.still(sampler.content(content.source))
        if motion is None:
            items.append(
                _Item(content.name.rstrip("-"), _label(content.name), recipe.scene(sampler, track, content.source))
            )
            continue
        moving = dataclasses.replace(motion.source, class_index=content.source.class_index)
        name, label = f"{content.name}-{motion.name}", _label(f"{content.name} {motion.name}")
        items.append(_Item(name.rstrip("-"), label, recipe.scene(sampler, track, moving)))
    return items


def _label(name: str) -> str:
    """Return a short text for a cell of a grid: "s3 m0" for "seed0003 motion0000"."""
    return printable(re.sub(r"\b(s|m)(?:eed|otion)0*(\d)", r"\1\2", name).strip(), _LONGEST_LABEL)


def _pairs(request: VideoRequest, contents: list[_Named], motions: list[_Named]) -> list[tuple[_Named, _Named | None]]:
    """Return (content, motion) of every video; the motion is None if the content has its own."""
    if request.decompose:
        return [(content, motion) for motion in motions for content in contents]
    if not motions:
        return [(content, None) for content in contents]
    if len(contents) == 1:
        return [(contents[0], motion) for motion in motions]
    if len(motions) == 1:
        return [(content, motions[0]) for content in contents]
    if len(motions) != len(contents):
        raise RequestError(
            f"{len(motions)} --motion-seeds for {len(contents)} contents; give one, or as many, or "
            "a single content, or add --decompose for all pairs"
        )
    return list(zip(contents, motions, strict=True))


def _interpolation(
    sampler: VideoSampler, request: VideoRequest, contents: list[_Named], motions: list[_Named], recipe: Recipe
) -> _Item:
    """Return the video that goes from content to content, with one motion."""
    if len(motions) > 1:
        raise RequestError(f"{len(motions)} motions for one video; give one of --motion-seeds")
    stops = [sampler.content(content.source) for content in contents]
    path = tracks.through(stops, request.num_frames, closed=request.loop)
    motion = motions[0] if motions else contents[0]
    return _Item("interpolation", "interpolation", recipe.scene(sampler, path, motion.source))
