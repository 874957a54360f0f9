"""Prompts of text-guided editing: one text, or a YAML file of many."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KINDS: dict[str, Any] = dict(
    prompt=str, neutral=str, name=str, strength=(int, float), disentangle=(int, float)
)  # of the entries of a file
_LONGEST_NAME = 48


@dataclass(frozen=True)
class Prompt:
    """One change of a video by a text.

    Attributes:
        text: What the video is to look like.
        neutral: What it looks like now; None for no text.
        name: Name of the change in the names of files.
        strength: How far to go, for edits by directions.
        disentangle: Share of the largest relevance that a channel needs, 0 to 1, for edits by directions.
    """

    text: str
    neutral: str | None
    name: str
    strength: float
    disentangle: float


def make_prompts(
    prompt: str | None,
    prompts: str | Path | None,
    *,
    neutral: str | None = None,
    strength: float = 5.0,
    disentangle: float = 0.3,
) -> list[Prompt]:
    """Return the changes that a text or a file asks for.

    Args:
        prompt: A text; None for a file.
        prompts: A YAML file with a list of texts, or of mappings with `prompt` and, if wanted, `neutral`, `name`,
            `strength` and `disentangle`; None for a text.
        neutral: What entries without `neutral` go away from; None for no text.
        strength: For entries without `strength`.
        disentangle: For entries without `disentangle`.

    Raises:
        ValueError: If neither or both are given, if a text is empty, or if the file cannot be understood.
    """
    entries = _read_file(Path(prompts)) if prompts is not None else [{"prompt": prompt or ""}]
    found = []
    for entry in entries:
        text = entry["prompt"].strip()
        if not text:
            raise ValueError("a prompt is empty; say what the video is to look like")
        found.append(
            Prompt(
                text=text,
                neutral=entry.get("neutral", neutral),
                name=slug(str(entry.get("name", text))),
                strength=float(entry.get("strength", strength)),
                disentangle=float(entry.get("disentangle", disentangle)),
            )
        )
    return found


def slug(text: str) -> str:
    """Return a text as part of a file name: lower case, with "-" for all that is no letter or digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST_NAME] or "edit"


def _read_file(path: Path) -> list[dict[str, Any]]:
    try:
        import yaml
    except ImportError:
        raise ValueError("--prompts needs the pyyaml package; pip install 'stylegan_v_ext[clip]'") from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path} is no list of prompts; write lines like `- prompt: a sunset`")
    entries = [{"prompt": item} if isinstance(item, str) else item for item in content]
    for number, entry in enumerate(entries):
        if not _is_sound(entry):
            raise ValueError(
                f"{path}: entry {number + 1} is not a text, or a prompt with {', '.join(list(_KINDS)[1:])}"
            )
    return entries


def _is_sound(entry: object) -> bool:
    if not isinstance(entry, dict) or "prompt" not in entry:
        return False
    return all(key in _KINDS and isinstance(value, _KINDS[key]) for key, value in entry.items())
