"""Figures 2 to 7 of the paper, from the stored results and references; how they look is for the eye."""

import re

import pytest

from lattice_flows.measurement.errors import Estimate
from lattice_flows.paper import figures, scaling
from lattice_flows.paper.cases import FIGURES, STOPS, TABLES, Case, needed
from lattice_flows.paper.ingredients import Ingredients, stored
from lattice_flows.paper.references import baselines


@pytest.fixture(scope="module")
def parts():
    cases = [Case(table, stop) for table in TABLES for stop in (None, *STOPS)]
    return Ingredients({case: stored("affine", case) for case in cases}, baselines(TABLES))


@pytest.mark.parametrize("number", FIGURES)
def test_every_figure_is_drawn_from_the_runs_that_it_names(parts, number):
    only = Ingredients({case: parts.flows[case] for case in needed([number])}, parts.baselines)
    drawn = figures.draw(number, only)
    assert drawn.figure.axes and re.search(r"\(seeds? \d", drawn.caption)


def test_what_figures_need():
    assert needed([3]) == [Case("E5")]
    assert needed([2, 3]) == [Case("E5"), Case("E5", 0.5), Case("E5", 0.7)]
    assert needed(FIGURES)[:5] == [Case(table) for table in TABLES] and len(needed(FIGURES)) == 15


def test_exponents_are_fitted_as_in_the_paper(parts):
    """tau_int of HMC as L^2 from L = 10 on, whatever it is on the smaller lattices."""
    laws = {}
    for (table, sampler), result in parts.baselines.items():
        extent = max(result.lattice_shape)
        tau = [0.1 * extent**2 if extent >= 10 else 50.0, 0.1]
        chain = result.chain | {"tau_int_of_updates": {"ising_energy": tau}}
        laws[table, sampler] = type(result)(**{**vars(result), "chain": chain})
    law = scaling.power_laws(Ingredients(parts.flows, laws))["HMC"]["ising_energy"]
    assert law.z.value == pytest.approx(2) and law.amplitude.value == pytest.approx(0.1)
    assert law.taus[6] == Estimate(50.0, 0.1)
