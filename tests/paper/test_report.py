"""The page with everything that a reproduction has found."""

import json
import re

import pytest

from lattice_flows.paper import figures, report
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import Ingredients, stored
from lattice_flows.paper.references import baselines


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    result = stored("affine", Case("E5"))
    (out / "E5").mkdir()
    (out / "E5" / "environment.json").write_text('{"commit": null, "command": ["scripts/a.py", "b<c"]}')
    (out / "E5" / "result.json").write_text(json.dumps(result.to_json()))
    parts = Ingredients({Case("E5"): result}, baselines(["E4", "E5"]))
    report.write(out / "report.html", out, parts, {3: figures.draw(3, parts)})
    return (out / "report.html").read_text()


def test_the_report_stands_alone(page):
    assert "Every observable agrees" in page and "b&lt;c" in page and not re.findall(r'(?:src|href)="(?!data:|#)', page)


def test_the_row_of_table_1_stands_once(page):
    assert page.count('<th scope="col" class="number">training [s]</th>') == 1
    assert page.count("5.3629(87)") == 3  # there, beside the baselines, and among all observables of the run


def test_figures_have_their_captions_and_the_green_function_is_shown(page):
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    assert captions[0].startswith("Figure 3. Connected") and any("Effective mass" in caption for caption in captions)


def test_baselines_on_other_ensembles_are_not_shown(page):
    assert "HMC, E5" in page and "HMC, E4" not in page


def test_names_are_not_mixed(page):
    assert "two_point_susceptibility" not in page and "chi_2" not in page
