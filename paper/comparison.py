"""Whether results agree: each observable with its reference and the paper, and all samplers of an ensemble with each other."""

from collections.abc import Sequence

import numpy as np

from lattice_flows.measurement.agreement import Agreement, agreement
from lattice_flows.measurement.result import Result
from lattice_flows.paper.references import published, reference

__all__ = ["compared", "sampler_agreement"]


def compared(result: Result) -> Result:
    """A result beside HMC's numbers and the paper's for its lattice and action. Exact references take the place of HMC's."""
    hmc = reference(result.lattice_shape, result.action)
    known = {name: row.estimate for name, row in hmc.observables.items()} if hmc else {}
    return result.compared(known, published(result.lattice_shape, result.action))


def sampler_agreement(results: Sequence[Result]) -> Agreement:
    """Chi-square of samplers of one distribution against their common mean, over those observables that all of them know."""
    first, *others = (result.correlation for result in results)
    names = [name for name in first.of if all(name in other.of for other in others)]
    measured = []
    for result in results:
        at = [result.correlation.of.index(name) for name in names]
        matrix = np.asarray(result.correlation.matrix)[np.ix_(at, at)]
        measured.append(([result.observables[name].estimate for name in names], matrix))
    return agreement(measured)
