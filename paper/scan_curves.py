"""The curves of a scan through the transition: how they are stored and drawn, and what they are held against."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lattice_flows import plots
from lattice_flows.measurement.curves import Point, crossing, derivative_pulls
from lattice_flows.measurement.errors import Estimate, format_estimate, pull
from lattice_flows.measurement.result import LARGEST_PULL, Result
from lattice_flows.paper.cases import DIMENSIONS, TABLES
from lattice_flows.paper.references import baselines, critical_coupling
from lattice_flows.report.figures import Captioned

__all__ = ["ScanCurves", "baselines_on"]

_SYMBOLS = {
    "free_energy_density": r"$f = -\log Z / V$",
    "two_point_susceptibility": r"$\chi_2 = V \langle M^2\rangle$",
    "absolute_magnetization": r"$\langle|M|\rangle$",
    "binder_cumulant": r"$U_4$",
}
_DIGITS = 7
# What files of earlier versions do not know of a point, in words.
_PERHAPS_UNKNOWN = {
    "integration_error": "the integration error",
    "non_finite_weights": "the share of weights that are not finite",
    "positive_magnetization": "the share of fields with a positive mean",
}


def baselines_on(shape: Sequence[int], m2: float) -> dict[float, tuple[str, Result]]:
    """lam -> ensemble and result, of all runs of HMC on a lattice at this mass."""
    return {
        result.action["lam"]: (table, result)
        for (table, sampler), result in baselines((*TABLES, *DIMENSIONS)).items()
        if sampler == "hmc" and tuple(result.lattice_shape) == tuple(shape) and result.action["m2"] == m2
    }


class ScanCurves(NamedTuple):
    """One curve in lam for each of several lattices.

    Attributes:
      dimensions: of the lattices.
      m2: of the action.
      near: the range of lam in which crossings are looked for.
      curves: L -> points.
    """

    dimensions: int
    m2: float
    near: tuple[float, float]
    curves: dict[int, list[Point]]

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold, with seven digits of each number."""
        curves = {str(extent): [_rounded(point._asdict()) for point in points] for extent, points in self.curves.items()}
        return {**self._asdict(), "curves": curves}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ScanCurves":
        """The curves of `to_json`."""
        curves = {int(extent): [_point(point) for point in points] for extent, points in content["curves"].items()}
        return cls(**{**content, "near": tuple(content["near"]), "curves": curves})

    @property
    def critical(self) -> Estimate | None:
        """The critical coupling as published, where it is."""
        return critical_coupling(self.dimensions, self.m2)

    def draw(self) -> Captioned:
        """The figure: free energy density, susceptibility, magnetization and Binder cumulant against lam."""
        values = {
            symbol: {
                f"L = {extent}": (
                    [point.coupling for point in points],
                    [point.estimates[observable] for point in points],
                    [point.trusted for point in points],
                )
                for extent, points in self.curves.items()
            }
            for observable, symbol in _SYMBOLS.items()
        }
        critical, title = self.critical, f"d = {self.dimensions}, $m^2 = {self.m2:g}$"
        marked = critical and (critical.value - critical.error, critical.value + critical.error)
        samples = sorted({point.samples for points in self.curves.values() for point in points})
        caption = (
            f"Through the transition at {title}, from one flow for all couplings on each lattice. Every point has "
            f"{' or '.join(map(str, samples))} weighted proposals of its own; bands are one standard deviation, open marks are "
            f"points whose weights cannot be trusted{'; grey is the critical coupling as published' if critical else ''}."
        )
        return Captioned(plots.against_coupling(values, title, r"$\lambda$", marked), caption)

    def findings(self) -> tuple[str, bool]:
        """What the curves say: crossings of U4, and, for each lattice, the tests of its curve.

        Tests are `df/dlam = <phi^4>` between successive points, and the runs of HMC at the same coupling. What the points do not
        know of themselves is said, and is no part of their being trusted.

        Returns:
          the text, and whether everything agrees within four standard deviations, and at least half of the points of every curve
            can be trusted. The others are left out of all tests.
        """
        lines = [f"U4 of L = {one} and {other} cross at lam = {self._crossing(one, other)}" for one, other in self._pairs()]
        if self.critical:
            lines.append(f"critical coupling as published: {format_estimate(self.critical)}")
        passed = True
        for extent, points in self.curves.items():
            trusted = [point for point in points if point.trusted]
            slope = float(np.abs(derivative_pulls(trusted)).max()) if len(trusted) > 1 else math.inf
            distances = self._distances(extent, trusted)
            passed &= 2 * len(trusted) >= len(points) and max([slope, *distances.values()]) <= LARGEST_PULL
            ess = [point.ess for point in points]
            beside = (
                ", ".join(f"{table} {distance:.1f} sigma" for table, distance in distances.items()) or "no run at these couplings"
            )
            lines.append(
                f"L = {extent}: {len(trusted)} of {len(points)} points trusted, ESS {min(ess):.2f} to {max(ess):.2f}; "
                f"df/dlam = <phi^4> {'not tested' if slope == math.inf else f'within {slope:.1f} sigma'}; "
                f"largest distance from HMC: {beside}"
            )
        points = [point for of_lattice in self.curves.values() for point in of_lattice]
        unknown = [words for name, words in _PERHAPS_UNKNOWN.items() if any(getattr(point, name) is None for point in points)]
        lines += [f"not recorded, and so not asked for where points are trusted: {', '.join(unknown)}"] if unknown else []
        return "\n".join(lines), passed

    def _pairs(self) -> list[tuple[int, int]]:
        return list(itertools.pairwise(self.curves))

    def _crossing(self, one: int, other: int) -> str:
        try:
            return format_estimate(crossing(self.curves[one], self.curves[other], *self.near))
        except ValueError as error:
            return f"not known: {error}"

    def _distances(self, extent: int, trusted: Sequence[Point]) -> dict[str, float]:
        """Ensemble -> the largest distance of any observable from that of HMC, in standard deviations."""
        hmc, found = baselines_on([extent] * self.dimensions, self.m2), {}
        for point in trusted:
            if point.coupling in hmc:
                table, result = hmc[point.coupling]
                shared = {name: number for name, number in point.estimates.items() if name in result.observables}
                found[table] = max(abs(pull(number, result.estimate(name))) for name, number in shared.items())
        return found


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, Estimate):
        return [_rounded(value.value), _rounded(value.error)]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _point(tree: Mapping[str, Any]) -> Point:
    signs = tree.get("positive_magnetization")
    return Point(**{**tree, "estimates": _estimates(tree["estimates"]), "positive_magnetization": signs and Estimate(*signs)})


def _estimates(tree: Mapping[str, Sequence[float]]) -> dict[str, Estimate]:
    return {name: Estimate(*number) for name, number in tree.items()}
