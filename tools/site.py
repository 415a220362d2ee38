"""Hooks of MkDocs: pages that stand outside docs/ are pages of the site, and links to them lead there.

MkDocs calls `on_files` once and `on_page_markdown` for each page (mkdocs.yml names this file).
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "config/README.md": "reference/configuration.md",
    "profiles/slurm/README.md": "reference/slurm-profile.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
"""Where a page of the repository stands in the site; README's links lead to the site's own first page."""
LINK = re.compile(r"(?<!!)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside docs/."""
    for source, page in OUTSIDE.items():
        if page != "index.md":
            text = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links between the repository's files as links between the site's pages; to a file that is no page, its name."""
    at = page.file.src_uri
    source = next((source for source, name in OUTSIDE.items() if name == at and at != "index.md"), f"docs/{at}")
    return LINK.sub(lambda link: _link(link[1], link[2], source, at), markdown)


def _link(words: str, target: str, source: str, at: str) -> str:
    """A Markdown link of the file `source`, which is the page `at` of the site."""
    path, _, anchor = target.partition("#")
    if not path or ":" in target:
        return f"[{words}]({target})"
    wanted = (ROOT / source).parent.joinpath(path).resolve()
    file = wanted.relative_to(ROOT).as_posix()
    if file in OUTSIDE or file.startswith("docs/"):
        name = OUTSIDE.get(file) or file.removeprefix("docs/")
        steps = "../" * at.count("/")
        return f"[{words}]({steps}{name}{'#' + anchor if anchor else ''})"
    if not wanted.exists():
        raise FileNotFoundError(f"{source}: the link {target} leads nowhere")
    return words if file in words else f"{words} (`{file}`)"
