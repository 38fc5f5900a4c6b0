"""The page about runs, from folders as runs leave them."""

import dataclasses
import re
import subprocess
import sys

import pytest

from lattice_flows import command_line, report
from lattice_flows.io.ensembles import ENSEMBLE
from lattice_flows.measurement.checks import judged
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.report.content import opinion


@pytest.fixture(scope="module")
def page(make, tmp_path_factory):
    """Runs on one ensemble, one of them incomplete, and one on another."""
    out = tmp_path_factory.mktemp("runs")
    result = stored("affine", Case("E1"))
    baseline = dataclasses.replace(result, sampler="hmc", flow=None, training=None, checks=())
    folders = [make.measured(out / "flow", result), make.measured(out / "hmc", baseline, chains=2), make.trained(out / "begun")]
    other = dataclasses.replace(result, lattice_shape=(8, 8))
    folders.append(make.measured(out / "other", other))
    (out / "other" / ENSEMBLE).unlink()  # it has another shape
    report.write(out / "page.html", folders)
    return (out / "page.html").read_text()


def test_it_needs_no_other_file(page):
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", page)
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page


def test_every_link_has_its_end(page):
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(names)


def test_everything_that_was_left_is_shown(page):
    for title in (
        "Summary",
        "Observables",
        "Can the errors be trusted?",
        "Density of the flow",
        "Configurations",
        "How it was made",
    ):
        assert f">{title}</h" in page, title
    figures = re.findall(r'<figure.*?aria-label="(\w+)', page, re.DOTALL)
    assert {"Training", "Connected", "Effective", "Rejections", "Log", "Action", "Configurations"} <= set(figures)
    assert "Not sampled: lattice-flows sample" in page and "a &lt;b&gt;" in page


def test_each_ensemble_has_its_section(page):
    times = "\N{MULTIPLICATION SIGN}"
    assert re.findall(r"<h2>(.*?), scalar_phi4", page) == [f"6 {times} 6", f"8 {times} 8"]
    assert page.count("Pulls are distances from flow") == 1


def test_the_opinion_is_that_of_the_worst_check():
    result = stored("affine", Case("E1"))
    assert opinion(result)[0] == "good"
    for number, kind in ((None, "unknown"), (1.5, "doubtful"), (3.0, "bad")):
        check = judged("k_hat", number, 1, 2, "tail", "train longer")
        assert opinion(dataclasses.replace(result, checks=(*result.checks, check)))[0] == kind
    assert opinion(dataclasses.replace(result, checks=()))[0] == "unknown"


def test_the_command_writes_the_page_and_needs_no_tensorflow(make, tmp_path):
    folder = make.begun(tmp_path / "run")
    code = (
        f"import sys; from lattice_flows import command_line; code = command_line.main(['report', {str(folder)!r}, "
        f"'--out={tmp_path / 'page.html'}']); sys.exit(code or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "report in " in done.stdout, done.stdout + done.stderr
    assert "No ensemble and no weights" in (tmp_path / "page.html").read_text()


def test_a_folder_that_holds_no_run_is_one_line(tmp_path, capsys):
    assert command_line.main(["report", str(tmp_path / "nowhere"), f"--out={tmp_path / 'page.html'}"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no run folder") and not (tmp_path / "page.html").exists()
