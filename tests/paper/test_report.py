"""The page with everything that a reproduction has found."""

import builtins
import re

import pytest

from lattice_flows import plots
from lattice_flows.config import ConfigError
from lattice_flows.paper import figures, report
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import Ingredients, stored
from lattice_flows.paper.references import baselines

ENVIRONMENT = '{"lattice_flows": "0.1.0", "cpu_count": 2, "command": ["a", "b<c"], "commit": null}'


def test_the_report_stands_alone(tmp_path):
    folder = tmp_path / "E5"
    (folder / "figures").mkdir(parents=True)
    (folder / "environment.json").write_text(ENVIRONMENT)
    parts = Ingredients({Case("E5"): stored("affine", Case("E5"))}, baselines(["E5"]))
    drawn = figures.draw(3, parts)
    plots.save(drawn.figure, tmp_path / "figures", "figure_3")
    report.write(tmp_path / "report.html", tmp_path, parts, {3: drawn})
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page and "b&lt;c" in page and "Every observable agrees" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)


def test_missing_packages_are_named_before_a_long_run(monkeypatch):
    def without_markdown(name, *arguments, real=builtins.__import__, **rest):
        if name == "markdown":
            raise ModuleNotFoundError("No module named 'markdown'", name="markdown")
        return real(name, *arguments, **rest)

    report.check()
    monkeypatch.setattr(builtins, "__import__", without_markdown)
    with pytest.raises(ConfigError, match=r"--report needs markdown, .* pip install 'lattice-flows\[report\]'"):
        report.check()
