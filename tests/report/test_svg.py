"""Figures in a page: they stand alone, and take its colours."""

import re

import numpy as np
import pytest

from lattice_flows import plots
from lattice_flows.measurement.errors import Estimate
from lattice_flows.report import svg


@pytest.fixture(scope="module")
def inline():
    return svg.inline(plots.zero_momentum_green({"flow": [Estimate(1.0, 0.1), Estimate(0.5, 0.1)]}), "one", 'a "figure"')


def test_it_is_one_element_with_a_description(inline):
    assert inline.startswith('<svg role="img" aria-label="a &#34;figure&#34;" style="width: 480px"') and inline.endswith("</svg>")
    assert "<metadata" not in inline and "<style" not in inline and not re.search(r'\b(width|height)="[\d.]+pt"', inline)


def test_colours_are_those_of_the_page(inline):
    assert "var(--curve-0)" in inline and "currentColor" in inline
    assert not {"#000000", "#0072b2", "#ffffff"} & set(re.findall(r"#[0-9a-f]{6}\b", inline))


def test_names_within_it_are_its_own(inline):
    names = re.findall(r'\bid="([^"]+)"', inline)
    assert names and all(name.startswith("one-") for name in names)
    assert {found for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', inline) for found in pair if found} <= set(names)


def test_the_same_figure_gives_the_same_text():
    drawn = [svg.inline(plots.configuration(np.eye(3)), "field", "") for _ in range(2)]
    assert drawn[0] == drawn[1] and drawn[0].count("data:image/png;base64,") == 2
