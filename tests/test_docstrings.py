"""Examples in docstrings run.

Those that compile a sampler take seconds, so they run in the slow tests; that what they call exists is a fast test.
"""

import ast
import operator
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
                yield code, name


COMPILING = re.compile(r"\b(run_chain|baseline|measure|curve|batches|log_weights|explain|FlowHMC|PCN)\(")
FAST_AND_SLOW = [
    pytest.param(code, id=name, marks=[pytest.mark.slow] if COMPILING.search(code) else []) for code, name in examples()
]


@pytest.mark.parametrize("code", FAST_AND_SLOW)
def test_an_example_runs(code, registries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"np": np, "tf": tf, "tfp": tfp, "lf": lf, "__name__": "example"}
    exec(compile(code, "example", "exec"), namespace)


def test_what_the_examples_call_exists():
    names = {name for code, _ in examples() for name in re.findall(r"\blf((?:\.[A-Za-z_]\w*)+)", code)}
    assert {".samplers.run_chain", ".baseline", ".measure"} <= names
    for name in sorted(names):
        operator.attrgetter(name[1:])(lf)
