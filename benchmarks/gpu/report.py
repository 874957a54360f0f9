"""What comes out: `gpu.json`, `gpu.md` and an archive of logs and pictures, anew after every part."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import in_words
from benchmarks.gpu.plan import PARTS
from benchmarks.gpu.supervisor import LOG, Outcome
from stylegan_v_ext.files import atomic_path

_ARCHIVE_NBYTES = 15 * 2**20  # what takes files back from a lent machine often has a limit of 16 MiB a file
_LOG_NBYTES = 2**20  # of each log, its end


@dataclass(frozen=True)
class Bar:
    """What a figure is to reach.

    Args:
        figure: "part.figure" in `gpu.json`.
        at_most: Upper bound; None if there is no upper bound.
        at_least: Lower bound; None if there is no lower bound.
    """

    what: str
    figure: str
    at_most: float | None = None
    at_least: float | None = None

    def cells(self, parts: dict[str, Any], rehearsal: bool) -> list[str]:
        """What, bound, value, verdict, which a rehearsal does not give."""
        part, _, name = self.figure.partition(".")
        value = parts.get(part, {}).get("figures", {}).get(name)
        bound = f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"
        if not isinstance(value, int | float):
            return [self.what, bound, "not measured", ""]
        if rehearsal:
            return [self.what, bound, "rehearsed", ""]
        met = value <= self.at_most if self.at_most is not None else value >= self.at_least
        return [self.what, bound, f"{value:.3g}", "met" if met else "**missed**"]


BARS = (
    Bar("training step, time over our own stylegan2's with equal frames", "step.over_stylegan2", at_most=1.0),
    Bar("training step, time over that of the paper's own code", "step.over_release", at_most=0.55),
    Bar("training step, peak memory over that of the paper's own code", "step.memory_over_release", at_most=0.7),
    Bar("generation, time over that of the paper's own code, 256 px", "generate.over_release", at_most=0.4),
    Bar("generation, peak memory over that of the paper's own code", "generate.memory_over_release", at_most=0.7),
    Bar("slowest memory-bound op, share of a copy's bandwidth", "ops.least_share_of_copy", at_least=0.8),
    Bar("slowest op, time over that of the stock kernel", "ops.most_over_stock", at_most=1.0),
    Bar("all kernels of a training step compiled, seconds", "doctor.compile_seconds", at_most=10),
    Bar("clips a second that are loaded, over what a step takes", "data.loaded_over_used", at_least=1.0),
)


class Report:
    """The files in the output folder."""

    def __init__(self, folder: Path, head: dict[str, Any]):
        """head: what is known before any part has run, for `gpu.json`."""
        self.folder, self.head = folder, head
        self.outcomes: dict[str, Outcome] = {}
        self.logs: dict[str, Path] = {}  # beside those of the parts
        self.write()

    def add(self, name: str, outcome: Outcome) -> None:
        """A part's outcome; the files are written anew."""
        self.outcomes[name] = outcome
        self.write()

    def content(self) -> dict[str, Any]:
        """What `gpu.json` holds."""
        parts = {}
        for part in PARTS:
            outcome = self.outcomes.get(part.name)
            entry: dict[str, Any] = {"verdict": "not run", "reason": "", "seconds": 0.0}
            if outcome:
                seconds = round(outcome.seconds, 1)
                entry = {"verdict": outcome.verdict, "reason": outcome.reason, "seconds": seconds, **outcome.found}
            parts[part.name] = entry
        return {**self.head, "parts": parts}

    def write(self) -> None:
        content = self.content()
        for name, text in (("gpu.json", json.dumps(content, indent=1) + "\n"), ("gpu.md", as_markdown(content))):
            with atomic_path(self.folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        with atomic_path(self.folder / "gpu-files.zip") as temporary:
            self._write_archive(temporary)

    def _write_archive(self, path: Path) -> None:
        """Logs first, then pictures for as long as there is room."""
        room = _ARCHIVE_NBYTES
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            logs = {name: outcome.folder / LOG for name, outcome in self.outcomes.items() if outcome.folder}
            for name, log in {**logs, **self.logs}.items():
                if log.exists():
                    archive.writestr(f"{name}.log", log.read_bytes()[-_LOG_NBYTES:])
            for name, outcome in self.outcomes.items():
                for picture in outcome.found.get("pictures", []):
                    content = (outcome.folder / picture).read_bytes()
                    room -= len(content)
                    if room > 0:
                        archive.writestr(f"{name}-{picture}", content)


def as_markdown(content: dict[str, Any]) -> str:
    """The same as text with tables, ready for a README."""
    lines = ["# One call on a GPU", ""]
    if content["rehearsal"]:
        lines += ["**A rehearsal with tiny sizes: no figure here says anything about speed or quality.**", ""]
    lines += [f"{in_words(content['machine'])}.", "", f"Made on {content['made']}, version {content['version']}.", ""]
    rows = []
    for part in PARTS:
        entry = content["parts"][part.name]
        told = entry["reason"] or entry.get("summary", "")
        rows.append([part.name, part.what, entry["verdict"], f"{entry['seconds']:.0f} s" if told else "", told])
    lines += [*_table(["part", "what", "verdict", "time", ""], rows), ""]
    bars = [bar.cells(content["parts"], content["rehearsal"]) for bar in BARS]
    lines += ["## Bars", "", *_table(["", "bar", "measured", ""], bars), ""]
    for part in PARTS:
        lines += _section(part.name, content["parts"][part.name])
    return "\n".join(lines)


def _section(name: str, entry: dict[str, Any]) -> list[str]:
    lines = []
    for table in entry.get("tables", []):
        lines += [f"### {table['title']}", "", *_table(table["header"], table["rows"]), ""]
    for kind in ("problems", "notes"):
        lines += [f"- {kind.removesuffix('s')}: {text}" for text in entry.get(kind, [])]
    if lines and lines[-1]:
        lines.append("")
    return [f"## {name}", "", *lines] if lines else []


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(header), "|" + " --- |" * len(header), *(line(row) for row in rows)]
