"""Words about metrics for the screen: a result as a table, what each metric is, which detectors are present."""

import textwrap
from collections.abc import Iterator

import dnnlib
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import ALIASES, STANDARD, parse_metric
from stylegan_v_ext.metrics.comparison import Result

_SIDES = ("_std", "_real", "_fake", "_real_std", "_fake_std")  # shown beside the figure that they belong to


def result_lines(name: str, result: Result, seconds: float) -> Iterator[str]:
    """Yield the lines that show a result.

    Args:
        name: Name of the metric.
        result: Its figures.
        seconds: How long the measurement took.

    Yields:
        A heading, a line for each figure with its means and spread, and the notes.
    """
    used = [
        f"{about.get('clips', about.get('frames'))} {'clips' if 'clips' in about else 'frames'} of {side}"
        for side in ("real", "fake")
        if isinstance(about := result.protocol.get(side), dict)
    ]
    yield ", ".join([name, *used, dnnlib.util.format_time(seconds)])
    values = result.values
    shown = [key for key in values if not any(key.endswith(end) and key[: -len(end)] in values for end in _SIDES)]
    width = max(map(len, shown)) + 2
    for key in shown:
        sides = [f"{end[1:]} {_figure(values, key + end)}" for end in ("_real", "_fake") if key + end in values]
        means = f"  (mean: {', '.join(sides)})" if sides else ""
        yield f"  {key:{width}s}{_figure(values, key)}{means}"
    for note in result.notes:
        yield f"  Note: {note}"


def _figure(values: dict[str, float], key: str) -> str:
    spread = values.get(f"{key}_std")
    return f"{values[key]:.6g}" + (f" ± {spread:.2g}" if spread is not None else "")


def catalogue_lines() -> Iterator[str]:
    """Yield the lines that say what each metric of the catalogue is."""
    for name in STANDARD:
        metric = parse_metric(name)
        assert metric is not None
        short = next((alias for alias, full in ALIASES.items() if full == name), None)
        yield name + (f" (or {short})" if short else "")
        detector = f" Detector: {metric.family.detector}." if metric.family.detector else ""
        yield from textwrap.wrap(metric.definition + detector, 100, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield "The numbers may be others: fvd256_16f compares 256 clips, motion2048_64f clips of 64 frames."


def detector_lines() -> Iterator[str]:
    """Yield the lines that say which detectors are present, and where to put missing detectors."""
    recorded = detectors.recorded_sha256()
    for detector in detectors.DETECTORS.values():
        path = detectors.local_detector(detector.file) or detectors.downloaded_detector(detector.file)
        yield f"{detector.file}: {detector.about}"
        if path is None:
            yield "    missing; downloaded at first use, from the first of these that answers:"
            for url in detector.urls:
                yield f"      {url}"
            continue
        found = detectors.sha256_of(path)
        before = recorded.get(detector.file)
        yield f"    {path}"
        if before is None:
            state = "not used yet"
        else:
            state = "as at first use" if before == found else "NOT the one of first use"
        yield f"    SHA-256 {found}, {state}"
    folder = detectors.detectors_folder()
    yield (
        f"Files in {folder} are taken before any download."
        if folder
        else f"Put files under these names into a folder and name it by --detectors or {detectors.ENVIRONMENT}."
    )
