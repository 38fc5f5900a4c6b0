"""The notebooks of the repository as pages: their text and their code, without what it prints.

Notebooks are kept as text, `notebooks/*.py` in jupytext's percent format.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

__all__ = ["as_markdown", "on_config", "on_files"]

_NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
_INDEX = "notebooks/index.md"


def on_config(config):
    """Puts the notebooks behind their index in the navigation."""
    pages = [f"notebooks/{file.stem}.md" for file in sorted(_NOTEBOOKS.glob("*.py"))]
    config.nav = [{"Notebooks": [_INDEX, *pages]} if _INDEX in dict(entry).values() else entry for entry in config.nav]
    return config


def on_files(files, config):
    """Adds a page for each notebook."""
    for file in sorted(_NOTEBOOKS.glob("*.py")):
        files.append(File.generated(config, f"notebooks/{file.stem}.md", content=as_markdown(file.read_text())))
    return files


def as_markdown(notebook: str) -> str:
    """The cells of a notebook in the percent format as Markdown."""
    _, *cells = re.split(r"^# %%", notebook, flags=re.MULTILINE)
    pages = []
    for kind, body in (cell.split("\n", 1) for cell in cells if "\n" in cell):
        body = re.sub(r"^# %.*\n", "", body, flags=re.MULTILINE).strip()  # what is for Jupyter alone
        if "[markdown]" in kind:
            pages.append(re.sub(r"^# ?", "", body, flags=re.MULTILINE))
        elif body:
            pages.append(f"```python\n{body}\n```")
    return "\n\n".join(pages) + "\n"
