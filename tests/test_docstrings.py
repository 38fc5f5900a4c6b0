"""Examples in docstrings run."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import lattice_flows as lf
from lattice_flows.measurement.observables import OBSERVABLES

PACKAGE = Path(lf.__file__).parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef
REGISTRIES = (
    lf.actions.ACTIONS,
    lf.bijectors.INNER_MAPS,
    lf.flows.FLOWS,
    lf.networks.NETWORKS,
    lf.priors.PRIORS,
    lf.samplers.SAMPLERS,
    lf.training.ESTIMATORS,
    lf.training.LOSSES,
    lf.training.OPTIMIZERS,
    OBSERVABLES,
)


@pytest.fixture
def registries():
    """Registries, which have after a test the parts that they had before."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, parts in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(parts)


def examples():
    """The Python of every fenced example, with the file and the name of what it documents."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            for index, code in enumerate(re.findall(r"```python\n(.*?)```", text or "", re.DOTALL)):
                name = f"{file.relative_to(PACKAGE).with_suffix('')}:{getattr(node, 'name', 'module')}:{index}"
                yield pytest.param(code, id=name)


@pytest.mark.parametrize("code", list(examples()))
def test_an_example_runs(code, registries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"np": np, "tf": tf, "tfp": tfp, "lf": lf, "__name__": "example"}
    exec(compile(code, "example", "exec"), namespace)
