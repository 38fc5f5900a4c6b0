"""Whether the errors of a chain can be trusted: checks with a number, limits and a verdict, and how they are shown."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lattice_flows.measurement.tables import text_table

__all__ = [
    "BAD",
    "DOUBTFUL",
    "GOOD",
    "UNKNOWN",
    "VERDICTS",
    "Check",
    "checks_table",
    "explained",
    "judged",
    "limit",
    "shown",
    "worst",
]

GOOD, DOUBTFUL, BAD, UNKNOWN = "good", "doubtful", "bad", "unknown"
VERDICTS = (BAD, DOUBTFUL, UNKNOWN, GOOD)  # the worst first


class Check(NamedTuple):
    """One check of a chain.

    Attributes:
      name: what is checked.
      value: the number that decides; None if it is not known or not finite.
      doubtful: the limit beyond which the chain is doubtful.
      bad: the limit beyond which its errors cannot be trusted. It is below the other one where small numbers are the bad ones.
      verdict: "good", "doubtful", "bad", or "unknown".
      meaning: what the number is, in one sentence.
      advice: what to try where it is not good.
    """

    name: str
    value: float | None
    doubtful: float | None
    bad: float | None
    verdict: str
    meaning: str
    advice: str


def judged(name: str, value: float | None, doubtful: float, bad: float, meaning: str, advice: str) -> Check:
    """A check with its verdict.

    ```python
    from lattice_flows.measurement.checks import judged

    print(judged("k_hat", 0.95, 0.5, 0.7, "tail index of the weights", "train longer").verdict)     # bad
    ```

    Args:
      name: what is checked.
      value: the number; None if it is not known. One that is not finite is bad.
      doubtful: the limit beyond which the chain is doubtful.
      bad: the limit beyond which it is bad; below `doubtful` where small numbers are the bad ones.
      meaning: what the number is, in one sentence.
      advice: what to try where it is not good.
    """
    sign = 1 if bad >= doubtful else -1
    if value is None:
        verdict = UNKNOWN
    elif not math.isfinite(value):
        value, verdict = None, BAD
    elif sign * value > sign * bad:
        verdict = BAD
    else:
        verdict = DOUBTFUL if sign * value > sign * doubtful else GOOD
    return Check(name, None if value is None else float(value), float(doubtful), float(bad), verdict, meaning, advice)


def worst(checks: Iterable[Check]) -> str | None:
    """The worst verdict among checks, in the order of `VERDICTS`; None if there are no checks."""
    return min((check.verdict for check in checks), key=VERDICTS.index, default=None)


def checks_table(checks: Sequence[Check], *, compact: bool = False) -> str:
    """All checks as a Markdown table."""
    rows = [[one.name, shown(one), limit(one, one.doubtful), limit(one, one.bad), one.verdict, one.meaning] for one in checks]
    return text_table(["check", "number", "doubtful", "bad", "verdict", "what it is"], rows, compact=compact)


def explained(checks: Sequence[Check]) -> str:
    """Whether the errors can be trusted, in words: how many checks are good, and what each other one means and what to try."""
    verdict = worst(checks)
    if verdict is None:
        return "Can these errors be trusted? Nothing was checked."
    wrong = [one for kind in (BAD, DOUBTFUL) for one in checks if one.verdict == kind]
    unknown = [one.name for one in checks if one.verdict == UNKNOWN]
    answer = {BAD: "No", DOUBTFUL: "With care", UNKNOWN: "As far as is known", GOOD: "Yes"}[verdict]
    count = f"{sum(one.verdict == GOOD for one in checks)} checks good"
    count += "".join(f", {sum(one.verdict == kind for one in wrong)} {kind}" for kind in {one.verdict: 0 for one in wrong})
    count += f", {len(unknown)} unknown ({', '.join(unknown)})" if unknown else ""
    lines = [
        f"- {one.verdict}: {one.name} {shown(one)} ({limit(one, one.doubtful)} is doubtful, {limit(one, one.bad)} bad): "
        f"{one.meaning}. {one.advice}."
        for one in wrong
    ]
    return "\n".join([f"Can these errors be trusted? {answer}: {count}.", *lines])


def shown(check: Check) -> str:
    """The number of a check as text."""
    if check.value is None:
        return "" if check.verdict == UNKNOWN else "not finite"
    return f"{check.value:.4g}"


def limit(check: Check, number: float | None) -> str:
    """A limit of a check as text, with the side on which numbers are the bad ones; "unknown" for one that is not finite."""
    if number is None or check.bad is None or check.doubtful is None:
        return "unknown"
    return f"{'above' if check.bad >= check.doubtful else 'below'} {number:.3g}"
