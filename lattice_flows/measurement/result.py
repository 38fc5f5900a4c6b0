"""What is measured on one ensemble: one type for flows and for baselines, in Python, in `result.json` and in reference files."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lattice_flows.measurement.checks import BAD, Check, explained
from lattice_flows.measurement.errors import Estimate, format_estimate
from lattice_flows.measurement.observable_result import ObservableResult
from lattice_flows.measurement.tables import text_table
from lattice_flows.measurement.weight_variance import WeightVariance

__all__ = ["LARGEST_PULL", "LONG_AND_SHORT", "WITH_TAU_INT", "Correlation", "ObservableResult", "Result"]

# A result agrees if none of its observables is further from its reference than this many standard deviations.
LARGEST_PULL = 4.0
# Observables of long and of short distances, whose errors are known as functions of the number of configurations.
LONG_AND_SHORT = ("two_point_susceptibility", "ising_energy")
# Observables whose tau_int is known in updates, from the longest to the shortest distances.
WITH_TAU_INT = (*LONG_AND_SHORT, "phi_squared", "absolute_magnetization", "action_density")
_DIGITS = 7
_CURVES = ("zero_momentum_green", "effective_mass")
# Earlier names of the diagnostics of baselines -> today's, as files of references may have them.
_EARLIER = {
    "hmc": {"trajectories": "updates", "save_every": "thinning", "trajectories_per_second": "updates_per_second"},
    "metropolis": {"sweeps_between": "thinning"},
}


class Correlation(NamedTuple):
    """The correlation matrix of the means of observables, `matrix[i][j]` that of the observables `of[i]` and `of[j]`.

    It is that of means over `bins` bins, less the number of chains; None for matrices of earlier versions, which are those of
    single configurations.
    """

    of: list[str]
    matrix: list[list[float]]
    bins: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that is measured on one ensemble. `print(result)` shows its observables, and whether their errors can be trusted.

    Attributes:
      sampler: the registered name of the sampler: "independence" for a flow's proposals, "annealed", "hmc", "metropolis", ...
      lattice_shape: extents of the lattice.
      action: the action's registered name under "name", and its parameters.
      seed: master seed of the run.
      chain: diagnostics of the chain. Always: acceptance, sign_flips (of the magnetization). Of a flow: length, ess, tau_int (from
        the accept decisions), log_z, free_energy_density and their errors, which contain the integration error, non_finite_weights
        (proposals of weight zero), samples_per_second, integration_error; trajectory_acceptance where proposals were annealed. Of
        others: chains, updates (of each chain), thinning, thermalisation_pull, tau_int_of_updates (observable -> [tau_int, error]),
        updates_per_second, and what the sampler itself reports: step_size, exp_minus_dh, exp_minus_dh_error, non_finite_ends (share
        of the trajectories), tunnelled (trajectories that changed the sign of M, flips aside), width, ...
      observables: name -> what was measured.
      zero_momentum_green: connected `Gt(0, t)` for t = 0 ... T/2.
      effective_mass: `m_eff(t)` for t = 1 ... T/2, None where it is not known.
      correlation: the correlation of the known observables.
      errors: "configurations", and for observables of short and long distances the errors from so many configurations.
      rejection_runs: how often r updates in a row were rejected; None where updates are not of the whole lattice.
      weight_variance: of a flow: which functions of the field explain the variance of the log weights of its proposals.
      table: name of the ensemble in the paper's Table I.
      flow: name of the flow.
      target_acceptance: at which the training was to stop.
      training: what the training reports.
      command: the command that made the ensemble.
      checks: of the chain: whether its errors can be trusted. Empty for results of earlier versions.
      compared_with: what gave the references, such as "hmc"; None if nothing independent was compared.
    """

    sampler: str
    lattice_shape: tuple[int, ...]
    action: Mapping[str, Any]
    seed: int
    chain: Mapping[str, Any]
    observables: Mapping[str, ObservableResult]
    zero_momentum_green: Sequence[Estimate | None]
    effective_mass: Sequence[Estimate | None]
    correlation: Correlation
    errors: Mapping[str, Sequence[float | None]]
    rejection_runs: Sequence[int] | None = None
    weight_variance: WeightVariance | None = None
    table: str | None = None
    flow: str | None = None
    target_acceptance: float | None = None
    training: Mapping[str, Any] | None = None
    command: str | None = None
    checks: Sequence[Check] = ()
    compared_with: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the action."""
        return {name: value for name, value in self.action.items() if name != "name"}

    @property
    def trusted(self) -> bool | None:
        """Whether no check calls the chain bad; None if nothing was checked."""
        return all(check.verdict != BAD for check in self.checks) if self.checks else None

    @property
    def training_seconds(self) -> float:
        """Of the training and of those whose weights it began with; 0 without a flow."""
        return self.training.get("seconds", 0.0) + self.training.get("earlier_seconds", 0.0) if self.training else 0.0

    @property
    def undetermined(self) -> list[str]:
        """Observables that have a reference, but that the ensemble does not determine."""
        return [name for name, row in self.observables.items() if row.reference and not row.estimate]

    @property
    def agrees(self) -> bool | None:
        """Whether all observables are within four sigma of their references.

        None if nothing independent was compared, or if one of `WITH_TAU_INT` has a reference and is not determined.
        """
        pulls = [row.pull for row in self.observables.values() if row.pull is not None]
        within = all(abs(value) <= LARGEST_PULL for value in pulls)
        unknown = self.compared_with is None or set(self.undetermined) & set(WITH_TAU_INT)
        return None if within and unknown else within

    @property
    def passed(self) -> bool | None:
        """Whether the result is trusted and agrees; None if no check is bad and nothing was compared."""
        return False if self.trusted is False else self.agrees

    @property
    def conclusion(self) -> str:
        """Whether the errors can be trusted and the observables agree with their references, in words."""
        compared = [name for name, row in self.observables.items() if row.pull is not None]
        missing = f" Not determined: {', '.join(self.undetermined)}." if self.undetermined else ""
        if self.agrees is False:
            reference = self.compared_with or "exact"
            said = f"DISAGREES: an observable is more than {LARGEST_PULL:g} sigma from its reference ({reference})."
        elif self.compared_with is None:
            said = "Nothing was compared: no reference was given."
        else:
            every = "Every observable agrees with its reference" if not missing else f"{len(compared)} observables agree"
            said = f"{every} ({self.compared_with}, or exact) within {LARGEST_PULL:g} sigma."
        return f"{explained(self.checks)}\n\n{said}{missing}"

    def estimate(self, name: str) -> Estimate | None:
        """The estimate of an observable; None if the ensemble does not determine it, or lacks it."""
        row = self.observables.get(name)
        return row and row.estimate

    def compared(
        self, references: Mapping[str, Estimate], published: Mapping[str, Estimate] | None = None, compared_with: str = "hmc"
    ) -> "Result":
        """The same result beside references and published numbers. Exact references stay, which are those without an error.

        Args:
          references: observable -> number; empty if there are none.
          published: the same, from the literature.
          compared_with: what gave the references.
        """
        rows = {}
        for name, row in self.observables.items():
            stays = row.reference is not None and (not row.reference.error or not references)
            reference = row.reference if stays else references.get(name)
            rows[name] = row._replace(reference=reference, published=(published or {}).get(name, row.published))
        return dataclasses.replace(self, observables=rows, compared_with=compared_with if references else self.compared_with)

    def to_json(self) -> dict[str, Any]:
        """The content of `result.json`, where the parameters of the action also stand at the top."""
        content = self.parameters | {
            "table": self.table,
            "sampler": self.sampler,
            "command": self.command,
            "lattice_shape": list(self.lattice_shape),
            "action": dict(self.action),
            "flow": self.flow,
            "seed": self.seed,
            "target_acceptance": self.target_acceptance,
            "passed": self.passed,
            "trusted": self.trusted,
            "compared_with": self.compared_with,
            "checks": [check._asdict() for check in self.checks],
            "training": self.training and dict(self.training),
            "chain": dict(self.chain),
            "observables": {name: row.to_json() for name, row in self.observables.items()},
            **{curve: [point and [_rounded(x) for x in point] for point in getattr(self, curve)] for curve in _CURVES},
            "correlation": {
                "of": list(self.correlation.of),
                "matrix": [list(map(_rounded, row)) for row in self.correlation.matrix],
                **({} if self.correlation.bins is None else {"bins": self.correlation.bins}),
            },
            "errors": {name: list(map(_rounded, values)) for name, values in self.errors.items()},
            "rejection_runs": self.rejection_runs and list(self.rejection_runs),
            "weight_variance": self.weight_variance and self.weight_variance.to_json(),
        }
        optional = ("table", "command", "flow", "training", "rejection_runs", "weight_variance")
        return _finite({name: value for name, value in content.items() if value is not None or name not in optional})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Result":
        """Reads what `to_json` writes, and files of earlier versions, which know flows of scalar phi^4 alone."""
        action = content.get("action") or {"name": "scalar_phi4", "m2": content["m2"], "lam": content["lam"]}
        own: dict[str, Any] = {name: content.get(name) for name in ("table", "flow", "target_acceptance", "training", "command")}
        measured = _measured(content)
        # Earlier versions compared with HMC and had no checks.
        references = [row.reference for row in measured["observables"].values() if row.reference]
        compared_with = "hmc" if any(reference.error for reference in references) else None
        return cls(
            sampler=content.get("sampler", "independence"),
            action=action,
            chain=content["chain"],
            checks=tuple(Check(**check) for check in content.get("checks", ())),
            compared_with=content.get("compared_with", compared_with),
            **own,
            **measured,
        )

    def to_entry(self) -> dict[str, Any]:
        """The entry of a file of references: numbers are [value, error, tau_int, its error], rounded to seven digits."""
        chain = {name: value for name, value in self.chain.items() if not name.endswith("_per_second")}
        content = self.to_json()
        kept = ("command", "lattice_shape", "action", "seed")
        measured = (*_CURVES, "correlation", "errors", "rejection_runs")
        return {
            **{name: content[name] for name in kept if name in content},
            **{name: _rounded(value) for name, value in chain.items()},
            "observables": {name: list(map(_rounded, row.estimate)) for name, row in self.observables.items() if row.estimate},
            **{name: content[name] for name in measured if name in content},
        }

    @classmethod
    def from_entry(cls, sampler: str, entry: Mapping[str, Any]) -> "Result":
        """Reads an entry of a file of references; earlier names of diagnostics are understood."""
        fields = {field.name for field in dataclasses.fields(cls)}
        chain = {name: value for name, value in entry.items() if name not in fields}
        for earlier, name in _EARLIER.get(sampler, {}).items():
            if earlier in chain:
                chain[name] = chain.pop(earlier)
        if "configurations" in chain:
            chain["updates"] = chain.pop("configurations") * chain["thinning"]
        return cls(sampler=sampler, action=entry["action"], chain=chain, command=entry.get("command"), **_measured(entry))

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.lattice_shape))
        title = f"{self.sampler} on {shape}, {self.action['name']} {self.parameters}, seed {self.seed}"
        scalars = {name: value for name, value in self.chain.items() if isinstance(value, int | float)}
        lines = [f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}" for name, value in scalars.items()]
        header = ["observable", "value", "tau_int", "reweighted", "reference", "pull", "published", "pull"]
        variance = [] if self.weight_variance is None else ["", str(self.weight_variance)]
        return "\n".join([title, ", ".join(lines), "", text_table(header, self.rows()), *variance, "", self.conclusion])

    def rows(self) -> list[list[str]]:
        """The cells of a table: each observable, its estimate, tau_int, reweighted, reference, pull, published, pull."""
        return [
            [
                name,
                format_estimate(row.estimate),
                "" if row.estimate is None or row.estimate.tau_int is None else f"{row.estimate.tau_int:.2f}",
                format_estimate(row.reweighted),
                format_estimate(row.reference),
                _sigmas(row.pull),
                format_estimate(row.published),
                _sigmas(row.published_pull),
            ]
            for name, row in self.observables.items()
        ]


def _measured(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `result.json` and files of references write alike."""
    return {
        "lattice_shape": tuple(content["lattice_shape"]),
        "seed": content["seed"],
        "observables": {name: ObservableResult.from_json(row) for name, row in content["observables"].items()},
        **{curve: [point and Estimate(*point) for point in content[curve]] for curve in _CURVES},
        "correlation": Correlation(**content["correlation"]),
        "errors": content["errors"],
        "rejection_runs": content.get("rejection_runs"),
        "weight_variance": (found := content.get("weight_variance")) and WeightVariance.from_json(found),
    }


def _finite(value: Any) -> Any:
    """The same content with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _sigmas(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
