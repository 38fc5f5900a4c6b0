"""Parts of other documents of the repository, in place of copies.

A line `{{ include README.md }}` of a page stands for the whole document, `{{ include README.md Conventions }}` for the section
under that heading, without the heading itself. Links to documents that are pages of the site go there, images come along, and links
to other files become plain text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

__all__ = ["PAGES", "on_files", "on_page_markdown"]

# Documents of the repository that are pages of the site as a whole.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "extending.md",
    "CHANGELOG.md": "changes.md",
    "paper/README.md": "results.md",
}
_ROOT = Path(__file__).resolve().parents[2]
_FIGURES = "paper/results/figures/*.png"
_MARKER = re.compile(r"^\{\{ include (\S+)(?: (.+))? \}\}$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files, config):
    """Adds the figures that documents show."""
    for figure in sorted(_ROOT.glob(_FIGURES)):
        files.append(File.generated(config, figure.relative_to(_ROOT).as_posix(), abs_src_path=str(figure)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Puts the documents in the place of their markers, and sends links to them to their pages."""

    def included(match):
        name, heading = match.groups()
        text = (_ROOT / name).read_text()
        return linked(text if heading is None else section(text, heading), name, page.file.src_uri)

    return _MARKER.sub(included, to_pages(markdown, page.file.src_uri))


def to_pages(markdown: str, page: str) -> str:
    """A page whose links to documents of the repository, as readers of the files follow them, go to the pages of these.

    Args:
      markdown: of the page.
      page: its path in `docs`.
    """

    def link(match):
        image, words, target = match.groups()
        path, anchor = _target(target, f"docs/{page}")
        return f"{image}[{words}]({_from(page, path)}{anchor})" if path in PAGES else match[0]

    return _LINK.sub(link, markdown)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level. Raises `ValueError` if there is no such heading."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^\1 |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ValueError(f"no heading {heading!r}")
    return found[2].strip() + "\n"


def linked(text: str, document: str, page: str) -> str:
    """The text with links as they must be on a page of the site.

    Args:
      text: of the document.
      document: its path in the repository.
      page: the path of the page in `docs`.
    """

    def link(match):
        image, words, target = match.groups()
        if re.match(r"\w+:", target):
            return match[0]
        path, anchor = _target(target, document)
        if not image and path not in PAGES:
            return words
        return f"{image}[{words}]({_from(page, path)}{anchor})"

    return _LINK.sub(link, text)


def _target(link: str, document: str) -> tuple[str, str]:
    """The path in the repository that a link of a document leads to, and the anchor there with its sign, if any."""
    path, _, anchor = link.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(document), path)) if path else document
    return path, f"#{anchor}" if anchor else ""


def _from(page: str, path: str) -> str:
    """How a page links to the page of a document, or to a picture."""
    return posixpath.relpath(PAGES.get(path, path), posixpath.dirname(page) or ".")
