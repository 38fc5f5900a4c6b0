"""Sampling lattice field theory with normalizing flows, in TensorFlow and TensorFlow Probability.

```python
action = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0)
flow = lf.flows.affine(action.lattice, layers=2)
phi, log_q = flow.sample_and_log_prob(64, seed=[1, 2])
log_weight = -action(phi) - log_q
```

Modules are imported when they are first used (PEP 562), so `import lattice_flows` itself is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

from lattice_flows.quiet import quiet_tensorflow

if TYPE_CHECKING:  # for editors and type checkers; `_HOMES` says the same to Python
    from lattice_flows import (
        actions,
        bijectors,
        config,
        flows,
        fourier,
        importance,
        io,
        lattice,
        measurement,
        networks,
        plots,
        priors,
        progress,
        samplers,
        training,
    )
    from lattice_flows.actions import ScalarPhi4
    from lattice_flows.api import baseline, load, measure, sample, train
    from lattice_flows.flows import Flow
    from lattice_flows.lattice import Lattice

__version__ = "0.1.0"

quiet_tensorflow()

# Name -> the module that defines it; the other public names are modules.
_HOMES = {
    "Flow": "flows",
    "Lattice": "lattice",
    "ScalarPhi4": "actions",
    "baseline": "api",
    "load": "api",
    "measure": "api",
    "sample": "api",
    "train": "api",
}

__all__ = [
    "Flow",
    "Lattice",
    "ScalarPhi4",
    "__version__",
    "actions",
    "baseline",
    "bijectors",
    "config",
    "flows",
    "fourier",
    "importance",
    "io",
    "lattice",
    "load",
    "measure",
    "measurement",
    "networks",
    "plots",
    "priors",
    "progress",
    "sample",
    "samplers",
    "train",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
