"""The code blocks of the documentation: what is printed there, where, and what a comment above says of it."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("profiles/*/*.md"), ROOT / "config/README.md"]
)
FENCE = re.compile(r"^(```+|~~~+)\s*(\w*)\s*$")
MARKER = re.compile(r"^<!-- (needs|runs elsewhere): ([^ ]+)(?: \(([^)]+)\))? -->$")


@dataclass(frozen=True)
class Marker:
    """A comment above a block: `needs: data`, `runs elsewhere: tests/x.py`. word: of commands with it; None: of all."""

    kind: str
    what: str
    word: str | None

    def is_of(self, words: list[str]) -> bool:
        """Whether the comment speaks of the command with these words."""
        return self.word is None or any(self.word in word for word in words)


@dataclass(frozen=True)
class Block:
    """A code block. line: its first one in the page, from 1; language: "" where there is none; text: as printed."""

    page: Path
    line: int
    language: str
    text: str
    markers: tuple[Marker, ...]

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, without comments; one goes on after a backslash or within quotes."""
        found, begun = [], ""
        for line in self.text.replace("\\\n", " ").splitlines():
            try:
                words, begun = shlex.split(begun + line, comments=True), ""
            except ValueError:  # quotes that are still open
                words, begun = [], f"{begun}{line}\n"
            found += [words] if words else []
        return found

    def marked(self, words: list[str]) -> bool:
        """Whether a comment says that the command needs what a test has not, or runs in another one."""
        return any(marker.is_of(words) for marker in self.markers)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All fenced and indented blocks of a page, in order. Lines that continue a list are indented, but no block."""
    lines, found, i, markers, in_list = page.read_text(encoding="utf-8").splitlines(), [], 0, (), False
    while i < len(lines):
        line = lines[i]
        if fence := FENCE.match(line):
            end = next(j for j in range(i + 1, len(lines)) if lines[j].startswith(fence[1]))
            found.append(Block(page, i + 2, fence[2], "\n".join(lines[i + 1 : end]) + "\n", markers))
            i, markers = end + 1, ()
        elif line.startswith("    ") and not in_list and (i == 0 or not lines[i - 1].strip()):
            end = next((j for j in range(i, len(lines)) if not lines[j].startswith("    ")), len(lines))
            text = "".join(f"{each[4:]}\n" for each in lines[i:end])
            found.append(Block(page, i + 1, "", text, markers))
            i, markers = end, ()
        else:
            if said := MARKER.match(line):
                markers = (*markers, Marker(*said.groups()))
            elif line.strip():
                markers, in_list = (), bool(re.match(r"^([-*]|\d+\.) ", line)) or (in_list and line.startswith(" "))
            i += 1
    return found
