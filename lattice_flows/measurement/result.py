"""What is measured on one ensemble: one type for flows and for baselines, in Python, in `result.json` and in reference files."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lattice_flows.measurement.errors import Estimate, format_estimate, pull
from lattice_flows.measurement.tables import text_table

__all__ = ["LARGEST_PULL", "LONG_AND_SHORT", "WITH_TAU_INT", "Correlation", "ObservableResult", "Result"]

# A result passes if none of its observables is further from its reference than this many standard deviations.
LARGEST_PULL = 4.0
# Observables of long and of short distances, whose errors are known as functions of the number of configurations.
LONG_AND_SHORT = ("two_point_susceptibility", "ising_energy")
# Observables whose tau_int is known in updates, from the longest to the shortest distances.
WITH_TAU_INT = (*LONG_AND_SHORT, "phi_squared", "absolute_magnetization", "action_density")
_DIGITS = 7
_NUMBER = ("value", "error", "tau_int", "tau_int_error")
_CURVES = ("zero_momentum_green", "effective_mass")
# Earlier names of the diagnostics of baselines -> today's. Files keep both.
_EARLIER = {
    "hmc": {"trajectories": "updates", "save_every": "thinning", "trajectories_per_second": "updates_per_second"},
    "metropolis": {"sweeps_between": "thinning"},
}


class ObservableResult(NamedTuple):
    """One observable, and the numbers it is compared with. None stands for a number that is not known.

    Attributes:
      estimate: mean over the chain, with its error and integrated autocorrelation time.
      reweighted: the importance-weighted mean over the proposals of a flow.
      reference: an exact value, or that of another sampler.
      published: a number from the literature.
    """

    estimate: Estimate | None
    reweighted: Estimate | None = None
    reference: Estimate | None = None
    published: Estimate | None = None

    @property
    def pull(self) -> float | None:
        """How far the estimate is from the reference, in standard deviations of the difference."""
        return pull(self.estimate, self.reference) if self.estimate and self.reference else None

    @property
    def published_pull(self) -> float | None:
        """How far the estimate is from the published number, in standard deviations of the difference."""
        return pull(self.estimate, self.published) if self.estimate and self.published else None

    def to_json(self) -> dict[str, float | None]:
        """The row of `result.json`."""
        row: dict[str, float | None] = dict(zip(_NUMBER, self.estimate or (None,) * 4, strict=True))
        for kind in ("reference", "published", "reweighted"):
            number = getattr(self, kind)
            row |= {kind: number and number.value, f"{kind}_error": number and number.error}
        return row | {"pull": self.pull, "published_pull": self.published_pull}

    @classmethod
    def from_json(cls, row: Mapping[str, float | None] | Sequence[float]) -> "ObservableResult":
        """Reads the row of a `result.json`, or the list [value, error, tau_int, its error] of a reference file."""
        if not isinstance(row, Mapping):
            return cls(Estimate(*row))
        own = None if row["value"] is None else Estimate(*(row.get(name) for name in _NUMBER))
        others = {
            kind: Estimate(row[kind], row[f"{kind}_error"])
            for kind in ("reference", "published", "reweighted")
            if row.get(kind) is not None
        }
        return cls(own, **others)


class Correlation(NamedTuple):
    """The correlation matrix of observables, `matrix[i][j]` that of the observables `of[i]` and `of[j]`."""

    of: list[str]
    matrix: list[list[float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that is measured on one ensemble. `print(result)` shows its observables.

    Attributes:
      sampler: the registered name of the sampler: "independence" for a flow, "hmc", "metropolis", ...
      lattice_shape: extents of the lattice.
      action: the action's registered name under "name", and its parameters.
      seed: master seed of the run.
      chain: diagnostics of the chain. Always: acceptance, sign_flips (of the magnetization). Of a flow: length, ess, tau_int (from
        the accept decisions), log_z, free_energy_density and their errors, non_finite_weights (proposals of weight zero),
        samples_per_second, integration_error. Of others: chains, updates (of each chain), thinning, thermalisation_pull,
        tau_int_of_updates (observable -> [tau_int, error]), updates_per_second, and what the sampler itself reports: step_size,
        exp_minus_dh, exp_minus_dh_error, width, ...
      observables: name -> what was measured.
      zero_momentum_green: connected `Gt(0, t)` for t = 0 ... T/2.
      effective_mass: `m_eff(t)` for t = 1 ... T/2, None where it is not known.
      correlation: the correlation of the known observables.
      errors: "configurations", and for observables of short and long distances the errors from so many configurations.
      rejection_runs: how often r updates in a row were rejected; None where updates are not of the whole lattice.
      table: name of the ensemble in the paper's Table I.
      flow: name of the flow.
      target_acceptance: at which the training was to stop.
      training: what the training reports.
      command: the command that made the ensemble.
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
    errors: Mapping[str, Sequence[float]]
    rejection_runs: Sequence[int] | None = None
    table: str | None = None
    flow: str | None = None
    target_acceptance: float | None = None
    training: Mapping[str, Any] | None = None
    command: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the action."""
        return {name: value for name, value in self.action.items() if name != "name"}

    @property
    def passed(self) -> bool:
        """Whether every observable is within four standard deviations of its reference, where it has one."""
        pulls = [row.pull for row in self.observables.values()]
        return all(abs(value) <= LARGEST_PULL for value in pulls if value is not None)

    def estimate(self, name: str) -> Estimate | None:
        """The estimate of an observable; None if the ensemble does not determine it, or lacks it."""
        row = self.observables.get(name)
        return row and row.estimate

    def compared(self, references: Mapping[str, Estimate], published: Mapping[str, Estimate] | None = None) -> "Result":
        """The same result beside references and published numbers. Exact references stay."""
        rows = {
            name: row._replace(
                reference=row.reference or references.get(name), published=(published or {}).get(name, row.published)
            )
            for name, row in self.observables.items()
        }
        return dataclasses.replace(self, observables=rows)

    def to_json(self) -> dict[str, Any]:
        """The content of `result.json`: parameters of the action and, of a baseline, its diagnostics also stand at the top."""
        top = self.parameters | ({} if self.sampler == "independence" else _with_earlier_names(self.sampler, self.chain))
        content = top | {
            "table": self.table,
            "sampler": self.sampler,
            "command": self.command,
            "lattice_shape": list(self.lattice_shape),
            "action": dict(self.action),
            "flow": self.flow,
            "seed": self.seed,
            "target_acceptance": self.target_acceptance,
            "passed": self.passed,
            "training": self.training and dict(self.training),
            "chain": dict(self.chain),
            "observables": {name: row.to_json() for name, row in self.observables.items()},
            **{curve: [point and [_rounded(x) for x in point] for point in getattr(self, curve)] for curve in _CURVES},
            "correlation": {
                "of": list(self.correlation.of),
                "matrix": [list(map(_rounded, row)) for row in self.correlation.matrix],
            },
            "errors": {name: list(map(_rounded, values)) for name, values in self.errors.items()},
            "rejection_runs": self.rejection_runs and list(self.rejection_runs),
        }
        optional = ("table", "command", "flow", "training", "rejection_runs")
        return {name: value for name, value in content.items() if value is not None or name not in optional}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Result":
        """Reads what `to_json` writes, and files of earlier versions, which know flows of scalar phi^4 alone."""
        action = content.get("action") or {"name": "scalar_phi4", "m2": content["m2"], "lam": content["lam"]}
        own = {name: content.get(name) for name in ("table", "flow", "target_acceptance", "training", "command")}
        return cls(
            sampler=content.get("sampler", "independence"), action=action, chain=content["chain"], **own, **_measured(content)
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
        return "\n".join([title, ", ".join(lines), "", text_table(header, self.rows())])

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
    }


def _with_earlier_names(sampler: str, chain: Mapping[str, Any]) -> dict[str, Any]:
    earlier = {old: chain[new] for old, new in _EARLIER.get(sampler, {}).items() if new in chain}
    if sampler == "metropolis" and "updates" in chain:
        earlier["configurations"] = chain["updates"] // chain["thinning"]
    return dict(chain) | earlier


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _sigmas(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
