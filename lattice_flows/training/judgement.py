"""What a training must say about numbers of its own that should not be trusted."""

import itertools
import math
from collections.abc import Sequence

from lattice_flows.importance import largest_k_hat
from lattice_flows.training.evaluation import Evaluation, described
from lattice_flows.training.state import Summary

__all__ = ["conclusion", "doubts", "fall_of_ess"]

# Forward and reverse effective sample sizes estimate the same number.
_SMALLEST_SHARE = 0.5
# A fall of the effective sample size is one by half, from at least this, while the divergence stays about the same.
_LEAST_ESS = 0.1
_LARGEST_RISE_OF_KL = 1.5

_ADVICE = "train longer (training.steps), with larger batches (training.batch_size), or choose another flow"


def conclusion(summary: Summary, judgement: Evaluation) -> list[str]:
    """Lines that say what a training did, how good the model is that it kept, and what not to trust of that."""
    done = (
        f"trained {summary.steps} steps in {summary.seconds:.0f} s (plus {summary.compile_seconds:.0f} s of compilation): "
        f"{summary.stopped}; best model at step {judgement.step}, by fresh samples {described(judgement)}"
    )
    return [done, *(f"not trustworthy: {doubt}" for doubt in doubts(summary))]


def doubts(summary: Summary) -> list[str]:
    """Reasons not to trust effective sample size and acceptance of a trained flow, or chains that it proposes for; empty if none.

    Numbers that are not known raise no doubts.
    """
    found = []
    k, error = summary.k_hat, summary.k_hat_error
    if k is not None and error is not None and k > largest_k_hat(error):
        found.append(
            f"the tail index k-hat of the weights is {k:.2f} with an error of {error:.2f}, and their variance infinite above "
            "0.5: the flow seldom visits a region of the target, a few samples there make up ESS and acceptance, "
            f"and a chain can stick there for long. {_ADVICE.capitalize()}"
        )
    if summary.forward_ess is not None and summary.forward_ess < _SMALLEST_SHARE * summary.ess:
        found.append(
            f"the forward ESS, by samples of the target, is {summary.forward_ess:.2g}, that by the flow's own {summary.ess:.2g}: "
            "the flow misses a region of the target, such as one of the two signs of the magnetization, and a chain would too. "
            f"{_ADVICE.capitalize()}"
        )
    return found


def fall_of_ess(evaluations: Sequence[Evaluation]) -> str | None:
    """Says that the effective sample size has just fallen although the flow did not change for the worse; None if it did not.

    It is said once in a training, and None from then on.
    """
    falls = [_falls(before, after) for before, after in itertools.pairwise(evaluations)]
    if not falls or not falls[-1] or any(falls[:-1]):
        return None
    before, after = evaluations[-2:]
    return (
        f"the ESS fell from {before.ess:.3f} to {after.ess:.3f}, although the divergence from the target did not grow with it "
        f"({before.kl:.3g} to {after.kl:.3g}): the weights have a heavy tail from a region that the flow seldom visits, and the "
        f"ESS depends on whether it did; the best model is chosen by the divergence. If it stays so, {_ADVICE}"
    )


def _falls(before: Evaluation, after: Evaluation) -> bool:
    known = before.kl < math.inf
    return known and before.ess > max(_LEAST_ESS, 2 * after.ess) and after.kl < _LARGEST_RISE_OF_KL * before.kl
