"""What stands on the pages in place of markers: tables, parts of other documents, formulas."""

import importlib.util
import re
from types import SimpleNamespace

import pytest

from lattice_flows.config import CONFIGS, ChainConfig, RunConfig, SamplerConfig, ScheduleConfig, TrainingConfig

HOOKS = CONFIGS.parent / "docs" / "hooks"


def hook(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", HOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables, includes, formulas, notebooks = map(hook, ("tables", "includes", "formulas", "notebooks"))

PAGES = sorted((CONFIGS.parent / "docs").rglob("*.md"))

DOCUMENT = """# Title

Introduction with a [link](other/file.md).

## First

One ![picture](results/a.png), [here](#first), [there](../CONTRIBUTING.md#layout), [far](https://arxiv.org/abs/1904.12072).

### Below

Two.

## Second

Three.
"""


def first_cells(text):
    return re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("section", "model"),
    [
        ("run", RunConfig),
        ("training", TrainingConfig),
        ("schedule", ScheduleConfig),
        ("chain", ChainConfig),
        ("sampler", SamplerConfig),
    ],
)
def test_every_key_of_a_section_is_listed_and_explained(section, model):
    text = tables.keys(section)
    assert first_cells(text) == list(model.model_fields)
    parts = {"lattice", "action", "flow", "training", "optimizer", "schedule"}  # which have tables of their own
    unexplained = {row.split("|")[1].strip(" `") for row in text.splitlines()[2:] if not row.split("|")[4].strip()}
    assert unexplained <= parts


@pytest.mark.parametrize("kind", tables.REGISTRIES)
def test_every_part_is_listed_with_all_its_keys(kind):
    text = tables.names(kind) if kind in ("loss", "gradient estimator", "observable") else tables.parts(kind)
    for name in tables.registry(kind):
        assert f"`{name}`" in text
    if kind == "flow":
        assert set(first_cells(text)) >= {"layers", "pair_radius", "condition", "of"}
    if kind == "sampler":
        assert {"leapfrog_steps", "flip", "replicas"} <= set(first_cells(text)) and "chains" not in first_cells(text)


def test_no_keyword_of_a_part_lacks_an_explanation():
    for kind in ("action", "flow", "prior", "network", "inner map", "optimizer", "sampler"):
        for row in tables.parts(kind).splitlines():
            assert not re.match(r"\| `\w+` .*\|  \|$", row), f"{kind}: {row}"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2**31}, "integer above 0"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number from 0 below 1"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"enum": ["rk4", "tsit5"]}, "`rk4`, `tsit5`"),
        ({"type": "array", "items": {"type": "boolean"}}, "list of true or false"),
    ],
)
def test_values_in_words(schema, words):
    assert tables.described(schema) == words


def test_comments_belong_to_their_keys():
    text = "a: 1   # one\nb:      # both\n  c: [] # list\n  d: 2\ne: 3 # three\n"
    assert tables.comments(text) == {"a": "one", "b": "both", "b.c": "list", "e": "three"}


def test_a_section_ends_at_the_next_heading_of_its_level():
    assert includes.section(DOCUMENT, "First").endswith("### Below\n\nTwo.\n")
    with pytest.raises(ValueError, match="no heading 'Third'"):
        includes.section(DOCUMENT, "Third")


def test_the_sections_that_pages_include_exist():
    for page in HOOKS.parent.rglob("*.md"):
        for name, heading in re.findall(r"^\{\{ include (\S+)(?: (.+))? \}\}$", page.read_text(), re.MULTILINE):
            text = (HOOKS.parents[1] / name).read_text()
            assert includes.section(text, heading) if heading else text


def test_links_go_to_pages_pictures_come_along_and_others_become_text():
    text = includes.linked(DOCUMENT, "paper/README.md", "checks.md")
    assert "with a link." in text
    assert "![picture](paper/results/a.png)" in text and "[here](results.md#first)" in text
    assert "[there](extending.md#layout)" in text and "[far](https://arxiv.org/abs/1904.12072)" in text
    assert "[here](../results.md#first)" in includes.linked(DOCUMENT, "paper/README.md", "api/index.md")


def test_links_of_pages_to_documents_that_are_pages_go_there():
    text = "[numbers](../paper/README.md#cost), [flows](flows.md#two), [own](../CONTRIBUTING.md)"
    assert includes.to_pages(text, "limits.md") == "[numbers](results.md#cost), [flows](flows.md#two), [own](extending.md)"
    assert includes.to_pages("[here](../../README.md)", "api/index.md") == "[here](../index.md)"


def test_no_page_sends_readers_of_the_files_to_an_include():
    """There they would find its marker alone."""
    included = "|".join(page.removesuffix(".md") for page in includes.PAGES.values())
    for page in HOOKS.parent.rglob("*.md"):
        assert not re.findall(rf"\]\((?:\.\./)*(?:{included})\.md", page.read_text()), page


def test_formulas_become_mathml():
    heading = SimpleNamespace(title=r"The action and \(-\log q\)", children=[])
    page = SimpleNamespace(toc=[heading])
    text = formulas.on_page_content(r'a <span class="arithmatex">\(\log x &lt; 1\)</span> b', page, None, None)
    assert re.fullmatch(r"a <math .*?<mi>log</mi><mspace [^>]*><mi>x</mi>.*</math> b", text) and 'display="inline"' in text
    assert heading.title.startswith("The action and <math ") and "\\" not in heading.title
    assert 'display="block"' in formulas.on_page_content(r'<div class="arithmatex">\[x\]</div>', page, None, None)


NOTEBOOK = """# ---
# jupyter: {}
# ---

# %% [markdown]
# # Title
#
# Text, $x$.

# %%
# %matplotlib inline
import numpy

# %%
"""


def test_cells_of_a_notebook_become_text_and_code():
    assert notebooks.as_markdown(NOTEBOOK) == "# Title\n\nText, $x$.\n\n```python\nimport numpy\n```\n"


@pytest.mark.parametrize("page", [page for page in PAGES if "{{" in page.read_text()], ids=lambda page: page.stem)
def test_every_marker_of_a_page_stands_for_something(page):
    file = SimpleNamespace(file=SimpleNamespace(src_uri=page.relative_to(CONFIGS.parent / "docs").as_posix()))
    text = page.read_text()
    for each in (includes, tables):
        text = each.on_page_markdown(text, page=file, config=None, files=None)
    assert not re.search(r"^\{\{ \w+", text, re.MULTILINE)
