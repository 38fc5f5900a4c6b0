"""Examples in docstrings run."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import lattice_flows as lf

PACKAGE = Path(lf.__file__).parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef


def examples():
    """The Python of every fenced example, with the file and the name of what it documents."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            for index, code in enumerate(re.findall(r"```python\n(.*?)```", text or "", re.DOTALL)):
                name = f"{file.relative_to(PACKAGE).with_suffix('')}:{getattr(node, 'name', 'module')}:{index}"
                yield pytest.param(code, id=name)


@pytest.mark.parametrize("code", list(examples()))
def test_an_example_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"np": np, "tf": tf, "tfp": tfp, "lf": lf, "__name__": "example"}
    exec(compile(code, "example", "exec"), namespace)
