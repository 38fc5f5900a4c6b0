"""The notebooks run from their first to their last cell, and what they find agrees with what it is compared with."""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

from lattice_flows.config import CONFIGS

NOTEBOOKS = sorted((CONFIGS.parent / "notebooks").glob("*.py"))
OURS = ("lattice_flows", "lattice_flows.measurement.autocorrelation", "lattice_flows.measurement.observables")
LONGEST = 600  # seconds for a cell, or until the kernel answers, on a busy machine


def test_there_are_six():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_", "5_", "6_"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_text_with_a_title_and_uses_what_is_public(path):
    text = path.read_text(encoding="utf-8")
    assert "format_name: percent" in text and re.match(r"# ---\n(#   .*\n|# jupyter:\n)+# ---\n\n# %% \[markdown\]\n# # \w", text)
    for node in ast.walk(ast.parse(text)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert all(module in OURS for module in modules if module.startswith("lattice_flows"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    jupytext = pytest.importorskip("jupytext", reason="pip install -e '.[notebooks]'")
    nbclient = pytest.importorskip("nbclient")
    # The command lattice-flows, and the kernel, of this environment.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = jupytext.read(path)
    nbclient.NotebookClient(
        notebook, timeout=LONGEST, startup_timeout=LONGEST, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.get("text", "") for output in outputs)
    assert text and "DISAGREES" not in text and "Traceback" not in text
    pulls = [float(pull) for pull in re.findall(r"([+-]\d+\.\d) sigma", text)]
    assert all(abs(pull) < 4 for pull in pulls)  # 20 or so numbers, against independent ones
    assert any("image/png" in output.get("data", {}) for output in outputs) or path.stem.startswith("3_")
