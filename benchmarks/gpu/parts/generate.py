"""Frames a second of one video and of 16 at once, with and without the encoder, beside the paper's own code."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.gpu.comparison import Comparison
from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import Settings
from benchmarks.sides import Side

_OURS = "benchmarks.gpu.videos:videos"
_REPEATS = 3


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


FULL = (
    Case(256, 1, 256), Case(256, 1, 256, reference="release"), Case(256, 1, 256, encoder=True), Case(256, 16, 32),
    Case(1024, 1, 64), Case(256, 1, 256, reference="stock"), Case(256, 16, 32, encoder=True),
    Case(1024, 1, 64, encoder=True), Case(1024, 16, 8), Case(1024, 16, 8, encoder=True),
)  # fmt: skip
TINY = (Case(32, 1, 16), Case(32, 1, 16, reference="release"), Case(32, 16, 4, encoder=True))
_CHECKOUTS = {"release": "stylegan-v", "stock": "stylegan2-ada-pytorch"}
_TINY_CHANNELS = {"channel_base": 256, "channel_max": 16}


def run(settings: Settings, found: Findings) -> None:
    cases = {case.name: case for case in (TINY if settings.rehearse else FULL)}
    makers = {}
    for name, case in cases.items():
        if case.reference and settings.reference(_CHECKOUTS[case.reference]) is None:
            found.note(f"{name}: no checkout references/{_CHECKOUTS[case.reference]} in the carried folder")
            continue
        makers[name] = _maker(settings, case)
    references = {name for name, case in cases.items() if case.reference}
    comparison = Comparison(makers, found, references, warm_up=1)
    try:
        for _ in range(1 if settings.rehearse else _REPEATS):
            comparison.round(calls=1)
            _tell(found, cases, comparison)
    finally:
        comparison.close()


def _maker(settings: Settings, case: Case) -> Callable[[], Side]:
    seconds = settings.seconds_left(keep=5)
    channels = _TINY_CHANNELS if settings.rehearse else None
    if not case.reference:
        path = str(settings.folder / f"{case.resolution}-{case.count}.mp4") if case.encoder else None
        return lambda: Side(_OURS, case.resolution, case.count, case.frames, path, settings.device, channels,
                            seconds=seconds)  # fmt: skip
    folder = str(settings.reference(_CHECKOUTS[case.reference]))
    channels = channels or {"channel_base": 16384, "channel_max": 512}
    return lambda: Side(f"benchmarks.{case.reference}:video", folder, case.resolution, case.frames, seconds=seconds,
                        **channels)  # fmt: skip


def _tell(found: Findings, cases: dict[str, Case], comparison: Comparison) -> None:
    ms = {name: median / cases[name].total for name, median in comparison.medians().items()}
    peaks = comparison.peaks()
    rows = [[name, f"{ms[name]:.2f} ms", f"{1e3 / ms[name]:.0f}", f"{peaks[name]:.0f} MB"] for name in ms]
    title = "Generation, float16 in the four highest resolutions"
    found.table(title, ["", "a frame", "frames a second", "peak memory"], rows)
    ours = next(iter(cases))
    if ours not in ms:
        return
    found.figure("ms_a_frame", ms[ours])
    for name in ms:
        if cases[name].reference:
            found.figure(f"over_{cases[name].reference}", ms[ours] / ms[name])
            found.figure(f"memory_over_{cases[name].reference}", peaks[ours] / peaks[name])
    found.summary(f"{ms[ours]:.2f} ms a frame of {ours}")
