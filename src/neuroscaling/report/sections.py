"""A section of the page comes as HTML from whoever drew its figures, and the page puts their pictures inside.

So the page knows no study: a list of figures (JSON) beside the pictures may hold `html`, `links` and `counted`, which
are those of a `Section`. A picture is named by its folder and file, relative to the page.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.files import read_object

TEMPLATES = Path(__file__).parent / "templates"
PICTURE = re.compile(r'(<img src=")([^":]+\.svg)(")')


@dataclass(frozen=True)
class Section:
    """A part of the page. links: anchors within it and what they are called; counted: what the study's models are."""

    html: str
    links: Sequence[tuple[str, str]] = ()
    counted: str = ""


def read_section(index: str | Path) -> Section:
    """The section that a list of figures holds, with its pictures inside. Raises DataError for a list without one."""
    index = Path(index)
    content = read_object(index, "html", "links", "counted")
    links = [(str(anchor), str(word)) for anchor, word in content["links"]]
    return Section(with_pictures(content["html"], index.parent.parent), links, content["counted"])


def encoding_section(index: str | Path) -> Section:
    """The section of encoding, from its list of figures."""
    index = Path(index)
    content = {**read_object(index, "figures", "units"), "folder": index.parent.name}
    html = render("encoding.html", encoding=content)
    return Section(with_pictures(html, index.parent.parent), [("encoding", "Encoding")])


def with_pictures(html: str, folder: Path) -> str:
    """`html` with every SVG picture that it names, relative to `folder`, as part of its own text."""

    def inside(found: re.Match[str]) -> str:
        return found[1] + data_uri((folder / found[2]).read_text(encoding="utf-8")) + found[3]

    return PICTURE.sub(inside, html)


def template_text(name: str) -> str:
    """A style sheet or script; a library's without the name of its source map, which the page does not hold."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return re.sub(r"(//|/\*)# sourceMappingURL=\S+( \*/)?", "", text)


def data_uri(svg: str) -> str:
    """A picture as the text of a link."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def render(template: str, folders: Sequence[Path] = (), **values: Any) -> str:
    """A template as HTML, its values escaped; `folders` are searched before the report's own templates.

    Raises jinja2's UndefinedError for a value that the template names and that is not given.
    """
    # jinja2 is needed for pages alone, and figures are drawn without it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    loader = FileSystemLoader([*folders, TEMPLATES])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    # `<` must not end the script element that holds the data.
    environment.filters["data"] = lambda value: Markup(_compact_json(value).replace("<", "\\u003c"))
    environment.filters["own"] = Markup
    return environment.get_template(template).render(**values)


def _compact_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
