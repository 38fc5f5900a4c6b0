"""At most one in a hundred short chains of good flows is called bad."""

import pytest

from lattice_flows.paper.calibration import calibrate, calibrate_all
from lattice_flows.paper.cases import Case


@pytest.mark.slow
def test_chains_of_a_flow_are_counted():
    found = calibrate("affine", Case("E1", 0.5), chains=2)
    assert (found.flow, found.table, found.chains, found.bad) == ("affine_50", "E1", 2, 0)
    assert found.doubtful <= 2 and all(verdict == "doubtful" for _, verdict in found.checks)


@pytest.mark.slow
def test_good_chains_are_not_called_bad():
    found = calibrate_all(50, tables=["E1", "E2"])
    chains, bad = sum(one.chains for one in found), sum(one.bad for one in found)
    assert chains == 400 and bad <= 4 and sum(one.doubtful for one in found) < 40
