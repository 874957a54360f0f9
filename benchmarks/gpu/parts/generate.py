"""Frames a second of one video and of 16 at once, with and without the encoder, beside the paper's own code."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.gpu.comparison import Comparison
from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import Settings
from benchmarks.sides import Side

_OURS = "benchmarks.gpu.videos:videos"
_REPEATS = 3
_LEAST_SECONDS = 12  # that some more cases need
_REFERENCE_SECONDS = 20  # to wait for an answer of other people's code


@dataclass(frozen=True)
class Case:
    """What is made. frames: of each of `count` videos. reference: "release", "stock", or "" for our own code."""

    resolution: int
    count: int
    frames: int
    encoder: bool = False
    reference: str = ""

    @property
    def name(self) -> str:
        what = "one video" if self.count == 1 else f"{self.count} videos"
        who = {"": "", "release": ", the paper's own code", "stock": ", stylegan2-ada-pytorch's images"}[self.reference]
        return f"{self.resolution} px, {what}{', with the encoder' if self.encoder else ''}{who}"

    @property
    def total(self) -> int:
        return self.count * self.frames


FULL = (  # one after another, as time allows
    (Case(256, 1, 256), Case(256, 1, 256, reference="release"), Case(256, 1, 256, encoder=True), Case(256, 16, 32)),
    (Case(1024, 1, 64), Case(1024, 16, 8), Case(256, 1, 256, reference="stock"), Case(1024, 1, 64, encoder=True)),
    (Case(256, 16, 32, encoder=True), Case(1024, 16, 8, encoder=True)),
)
TINY = ((Case(32, 1, 16), Case(32, 1, 16, reference="release"), Case(32, 16, 4, encoder=True)),)
_CHECKOUTS = {"release": "stylegan-v", "stock": "stylegan2-ada-pytorch"}
_TINY_CHANNELS = {"channel_base": 256, "channel_max": 16}


def run(settings: Settings, found: Findings) -> None:
    measured: dict[str, tuple[Case, float, float]] = {}
    for number, cases in enumerate(TINY if settings.rehearse else FULL):
        if number and settings.seconds_left() < _LEAST_SECONDS and not settings.rehearse:
            found.note(f"no time was left for: {'; '.join(case.name for case in cases)}")
            continue
        _compare(settings, found, cases, measured)


def _compare(
    settings: Settings, found: Findings, cases: tuple[Case, ...], measured: dict[str, tuple[Case, float, float]]
) -> None:
    """Fill `measured` with name -> (case, milliseconds a frame, peak memory in MB)."""
    makers = {}
    for case in cases:
        if case.reference and settings.reference(_CHECKOUTS[case.reference]) is None:
            found.note(f"{case.name}: no checkout references/{_CHECKOUTS[case.reference]} in the carried folder")
        else:
            makers[case.name] = _maker(settings, case)
    comparison = Comparison(makers, found, {case.name for case in cases if case.reference}, warm_up=1)
    try:
        for _ in range(1 if settings.rehearse else _REPEATS):
            before = time.monotonic()
            comparison.round(calls=1)
            peaks = comparison.peaks()
            medians = comparison.medians()
            measured |= {
                case.name: (case, medians[case.name] / case.total, peaks[case.name])
                for case in cases
                if case.name in medians
            }
            _tell(found, measured)
            if settings.seconds_left(keep=2) < 1.3 * (time.monotonic() - before):
                break
    finally:
        comparison.close()


def _maker(settings: Settings, case: Case) -> Callable[[], Side]:
    seconds = settings.seconds_left(keep=1)
    channels = _TINY_CHANNELS if settings.rehearse else None
    if not case.reference:
        path = str(settings.folder / f"{case.resolution}-{case.count}.mp4") if case.encoder else None
        return lambda: Side(_OURS, case.resolution, case.count, case.frames, path, settings.device, channels,
                            seconds=seconds)  # fmt: skip
    folder = str(settings.reference(_CHECKOUTS[case.reference]))
    channels = channels or {"channel_base": 16384, "channel_max": 512}
    return lambda: Side(f"benchmarks.{case.reference}:video", folder, case.resolution, case.frames,
                        seconds=_REFERENCE_SECONDS, **channels)  # fmt: skip


def _tell(found: Findings, measured: dict[str, tuple[Case, float, float]]) -> None:
    title = "Generation, float16 in the four highest resolutions"
    rows = [[name, f"{ms:.2f} ms", f"{1e3 / ms:.0f}", f"{mb:.0f} MB"] for name, (_, ms, mb) in measured.items()]
    found.table(title, ["", "a frame", "frames a second", "peak memory"], rows)
    ours = next(((ms, mb) for case, ms, mb in measured.values() if not case.reference and case.count == 1), None)
    if ours is None:
        return
    found.figure("ms_a_frame", ours[0])
    for case, ms, mb in measured.values():
        if case.reference:
            found.figure(f"over_{case.reference}", ours[0] / ms)
            found.figure(f"memory_over_{case.reference}", ours[1] / mb)
    found.summary(f"{ours[0]:.2f} ms a frame of one video")
