"""Docstrings in Google's form, taken apart."""

import ast
import re
from dataclasses import dataclass, field
from inspect import cleandoc

SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Warns", "Yields")
_ENTRY = re.compile(r"(\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}[A-Za-z_][\w.]*)*):(?: |$)")


@dataclass
class Docstring:
    """A docstring: its summary line, other text, and sections.

    Attributes:
        summary: First paragraph, on one line.
        text: Paragraphs outside the sections, without the summary.
        sections: Lines of each section by its name, without the indentation of the section.
    """

    summary: str
    text: list[str] = field(default_factory=list)
    sections: dict[str, list[str]] = field(default_factory=dict)

    def entries(self, section: str) -> dict[str, str]:
        """The entries `name: text` of a section by their names; `a, b: text` counts for both names."""
        entries: dict[str, str] = {}
        names: list[str] = []
        for line in self.sections.get(section, []):
            match = None if line.startswith(" ") else _ENTRY.match(line)
            if match:
                names = match[1].split(", ")
                entries |= {name: line[match.end() :].strip() for name in names}
            else:
                entries |= {name: f"{entries[name]} {line.strip()}".strip() for name in names}
        return entries


def docstring_of(node: ast.AST) -> Docstring | None:
    """The docstring of a function, class or module; None if there is no docstring."""
    text = ast.get_docstring(node, clean=True)
    return parse_docstring(text) if text else None


def parse_docstring(text: str) -> Docstring:
    """Take a docstring apart."""
    lines = cleandoc(text).splitlines()
    end = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    result = Docstring(" ".join(line.strip() for line in lines[:end]))
    section: list[str] = result.text
    for line in lines[end:]:
        title = line.removesuffix(":")
        if line.endswith(":") and title in SECTIONS:
            section = result.sections.setdefault(title, [])
        elif section is result.text or not line.strip():
            section.append(line)
        elif line.startswith("    "):
            section.append(line[4:])
        else:
            section = result.text
            section.append(line)
    return result
