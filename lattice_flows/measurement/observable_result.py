"""One measured observable beside the numbers that it is compared with."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lattice_flows.measurement.errors import Estimate, pull

__all__ = ["ObservableResult"]

_NUMBER = ("value", "error", "tau_int", "tau_int_error")


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
        known: dict[str, Any] = dict(row)
        number: Any = {name: known.get(name) for name in _NUMBER}
        own = None if known["value"] is None else Estimate(**number)
        others = {
            kind: Estimate(known[kind], known[f"{kind}_error"])
            for kind in ("reference", "published", "reweighted")
            if known.get(kind) is not None
        }
        return cls(own, **others)
