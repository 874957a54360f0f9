"""Find a real clip in a network, then let it go on, slow it down, lend its motion, change it by a text.

    python examples/project_and_edit.py NETWORK CLIP [PROMPT]

The prompt needs `pip install "stylegan_v_ext[clip]"`. The result is close to the clip if the network was trained on
clips of this kind.
"""

import argparse
from pathlib import Path

from stylegan_v_ext import edit, load, project
from stylegan_v_ext.editing import EditRequest, ProjectRequest
from stylegan_v_ext.generate import VideoName
from stylegan_v_ext.generate.tracks import Scene

DEFAULTS = ProjectRequest(steps=1000)


def main(
    network: str,
    clip: str,
    prompt: str | None = None,
    *,
    folder: Path = Path("projection"),
    request: ProjectRequest = DEFAULTS,
    frames: int = 200,
) -> None:
    """Write videos of a real clip into a folder.

    Args:
        network: Video generator: checkpoint of any format, run folder or URL.
        clip: Video file, animation or folder of frames.
        prompt: What the clip is to look like; None leaves the edit out.
        folder: Folder of the results.
        request: How the clip is searched for.
        frames: Length of the videos in frames.
    """
    latents = project(network, clip, output=folder, request=request)

    sampler = load(network)
    sampler.video(latents=latents, frames=frames).write(folder / "goes-on.mp4")
    sampler.video(latents=latents, speed=0.25, frames=frames).write(folder / "slow.mp4")

    # Content and motion are separate: the content of seed 5 moves as the clip does.
    borrowed = Scene(sampler.scene(VideoName(5)).content, sampler.motion(latents))
    count = sum(1 for _ in sampler.render(borrowed, range(16)))
    print(f"{count} frames of another content with the motion of the clip")

    if prompt is not None:
        edits = edit(network, prompt, projections=[folder / "projection.npz"], request=EditRequest(neutral="a picture"))
        print(*(f"{result.path}: similarity {result.before:.3f} -> {result.after:.3f}" for result in edits), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("clip")
    parser.add_argument("prompt", nargs="?")
    main(**vars(parser.parse_args()))
